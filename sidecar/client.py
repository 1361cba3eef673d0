"""How commands speak to the running service: small, synchronous, with a time-out."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.config import Settings
from sidecar.errors import ServiceUnreachable

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the service."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Client:
    """Knows where the service listens and which token it wants."""

    address: str
    token: str

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        """One request.

        Raises:
            ServiceUnreachable: nothing answers there.
        """
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_SECONDS)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return Reply(response.status, json.loads(response.read()))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceUnreachable(
                f"no sidecar answers at {self.address} ({error})", hint="Start it with `sidecar run`."
            ) from error
        finally:
            connection.close()


def find(settings: Settings, state: Path) -> Client:
    """The client for the service that keeps its state in this folder.

    Raises:
        ServiceUnreachable: it has never run there.
    """
    try:
        address = (state / "address").read_text().strip()
    except OSError:
        address = settings.http.listen
    try:
        token = Path(settings.http.token_file or state / "token").read_text().strip()
    except OSError as error:
        raise ServiceUnreachable(
            f"no sidecar has its state in {state}", hint="Start it with `sidecar run`, or give --state."
        ) from error
    return Client(address, token)
