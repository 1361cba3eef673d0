"""How commands speak to the running service: small, synchronous, a time-out on every call.

It knows the paths and the forms of the answers, and nothing about showing them.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sidecar.config import Settings
from sidecar.errors import ServiceRefused, ServiceUnreachable

_SECONDS = 15.0
_LARGEST_ANSWER = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Client:
    """Knows where the service listens and which token it wants."""

    host: str
    port: int
    token: str

    def status(self) -> Mapping[str, Any]:
        """Sessions, open incidents and circuits.

        Raises:
            ServiceUnreachable: nothing answers there, or something else does.
            ServiceRefused: it answered with an error.
        """
        return self._call("GET", "/api/v1/sessions")

    def recover(
        self, session: str, failure: str | None = None, strategy: str | None = None, *, dry_run: bool = False
    ) -> Mapping[str, Any]:
        """Ask for a recovery; the answer has its ``id``, or what a dry run would do.

        Raises:
            ServiceUnreachable: nothing answers there, or something else does.
            ServiceRefused: it will not recover the session, and says why.
        """
        asked = {"session": session, "failure": failure, "strategy": strategy, "dry_run": dry_run}
        return self.post("/recover", asked)

    def recovery(self, number: int) -> Mapping[str, Any]:
        """One recovery with its steps and its verdict.

        Raises:
            ServiceUnreachable: nothing answers there, or something else does.
            ServiceRefused: there is no such recovery.
        """
        answer = self._call("GET", f"/api/v1/recoveries/{quote(str(number))}").get("recovery")
        if not isinstance(answer, dict):
            raise self._stranger("its answer holds no recovery")
        return answer

    def get(self, path: str, **query: str | int | bool | None) -> Mapping[str, Any]:
        """What a path shows; ``query`` without what is None.

        Raises:
            ServiceUnreachable: nothing answers there, or something else does.
            ServiceRefused: it answered with an error.
        """
        words = {
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in query.items()
            if value is not None
        }
        return self._call("GET", f"{path}?{urlencode(words)}" if words else path)

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have something done; ``body`` without what is None.

        Raises:
            ServiceUnreachable: nothing answers there, or something else does.
            ServiceRefused: it will not do it, and says why.
        """
        return self._call("POST", path, {key: value for key, value in body.items() if value is not None})

    def delete(self, path: str) -> Mapping[str, Any]:
        """Have something ended.

        Raises:
            ServiceUnreachable: nothing answers there, or something else does.
            ServiceRefused: it will not do it, and says why.
        """
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_SECONDS)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            raw = response.read(_LARGEST_ANSWER)
        except TimeoutError as error:
            raise ServiceUnreachable(
                f"the sidecar at {self._address} did not answer within {_SECONDS:g} s",
                hint="Its log says what it is busy with.",
            ) from error
        except OSError as error:
            raise ServiceUnreachable(
                f"no sidecar answers at {self._address} ({error.strerror or error})",
                hint="Start it with `sidecar run`, or name its state folder with --state.",
            ) from error
        except (http.client.HTTPException, ValueError) as error:
            raise self._stranger(str(error) or type(error).__name__) from error
        finally:
            connection.close()
        return self._read(response.status, raw)

    def _read(self, status: int, raw: bytes) -> Mapping[str, Any]:
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise self._stranger(f"status {status}, and no JSON") from error
        if not isinstance(answer, dict):
            raise self._stranger(f"status {status}, and no JSON object")
        if status >= 400:
            said = {key: str(answer.get(key) or "") for key in ("detail", "title", "reason", "hint")}
            sentence = said["detail"] or said["title"] or f"it answered with status {status}"
            raise ServiceRefused(sentence, reason=said["reason"], hint=said["hint"])
        return answer

    def _stranger(self, what: str) -> ServiceUnreachable:
        return ServiceUnreachable(
            f"what answers at {self._address} is no sidecar ({what})",
            hint="Name the right one with --url or --state.",
        )

    @property
    def _address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def find(settings: Settings, state: Path, url: str | None = None) -> Client:
    """The client for ``url``, or else for the service that keeps its state in this folder.

    A running service has its address in the file ``address`` there; without one it is expected
    where the settings say.

    Raises:
        ServiceUnreachable: there is no address, or no token that may be read.
    """
    host, port = _split(url or f"http://{_running_address(state) or settings.http.listen}")
    token_file = Path(settings.http.token_file or state / "token")
    try:
        token = token_file.read_text("ascii").strip()
    except FileNotFoundError as error:
        raise ServiceUnreachable(
            f"no sidecar has run with the state folder {state}: there is no {token_file}",
            hint="Start it with `sidecar run`, or name its state folder with --state.",
        ) from error
    except (OSError, ValueError) as error:
        raise ServiceUnreachable(
            f"the token in {token_file} cannot be read: {error}",
            hint="The user who runs the sidecar can read it.",
        ) from error
    if not token.isprintable():
        raise ServiceUnreachable(f"{token_file} holds no token", hint="It has to be one line.")
    return Client(host, port, token)


def _running_address(state: Path) -> str:
    try:
        return (state / "address").read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _split(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.scheme != "http":
        raise ServiceUnreachable(
            f"{url!r} is no address of a sidecar", hint="It has the form http://127.0.0.1:9847."
        )
    return host, port
