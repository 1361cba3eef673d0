"""How commands speak to the running service: small, synchronous, a time-out on every call.

It knows the paths and the forms of the answers, and nothing about showing them.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sidecar.config import UNIX, Settings
from sidecar.errors import ServiceRefused, ServiceUnreachable

_SECONDS = 15.0
_LARGEST_ANSWER = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service listens."""

    shown: str
    """For people: ``HOST:PORT``, or the path of a socket file."""
    host: str = "localhost"
    port: int = 0
    socket: str = ""
    """The path of a socket file; empty for a host and a port."""
    tls: bool = False
    certificate: str = ""
    """The file with the service's own certificate, if it is known; else the system's authorities decide."""

    def connection(self) -> http.client.HTTPConnection:
        """Not connected yet.

        Raises:
            OSError: the certificate cannot be read.
        """
        if self.socket:
            return _SocketConnection(self.socket)
        if self.tls:
            context = _pinned(self.certificate) if self.certificate else ssl.create_default_context()
            return http.client.HTTPSConnection(self.host, self.port, timeout=_SECONDS, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=_SECONDS)


class _SocketConnection(http.client.HTTPConnection):
    """HTTP through a socket file."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Client:
    """Knows where the service listens and which token it wants."""

    place: Place
    token: str = field(repr=False)

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
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = None
        try:
            connection = self.place.connection()
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            raw = response.read(_LARGEST_ANSWER)
        except TimeoutError as error:
            raise ServiceUnreachable(
                f"the sidecar at {self.place.shown} did not answer within {_SECONDS:g} s",
                hint="Its log says what it is busy with.",
            ) from error
        except ssl.SSLError as error:
            raise ServiceUnreachable(
                f"the sidecar at {self.place.shown} cannot be spoken to with TLS: {error.reason or error}",
                hint="A socket file needs no certificate: add `unix:PATH` to http.listen.",
            ) from error
        except OSError as error:
            raise ServiceUnreachable(
                f"no sidecar answers at {self.place.shown} ({error.strerror or error})",
                hint="Start it with `sidecar run`, or name its state folder with --state.",
            ) from error
        except (http.client.HTTPException, ValueError) as error:
            raise self._stranger(str(error) or type(error).__name__) from error
        finally:
            if connection is not None:
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
            f"what answers at {self.place.shown} is no sidecar ({what})",
            hint="Name the right one with --url or --state.",
        )


def find(settings: Settings, state: Path, url: str | None = None) -> Client:
    """The client for ``url``, or else for the service that keeps its state in this folder.

    A running service has its address in the file ``address`` there; without one it is expected
    where the settings say.

    Raises:
        ServiceUnreachable: there is no address, or no token that may be read.
    """
    place = _place(_own_address(state, settings, url))
    token_file = Path(settings.http.token_file or state / "token")
    return Client(place, "" if place.socket and not token_file.exists() else _token(token_file, state))


def _token(token_file: Path, state: Path) -> str:
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
    return token


def _own_address(state: Path, settings: Settings, url: str | None) -> str:
    """As the service has written it down, with its certificate.

    Without a ``url`` a socket file goes before an address: it needs no token and no certificate.
    """
    try:
        listening = list(filter(None, (state / "address").read_text("utf-8").splitlines()))
    except (OSError, ValueError):
        listening = []
    listening = listening or list(settings.http.listen)
    if url is not None:
        return next((words for words in listening if words.partition(" ")[0] == url), url)
    words = next((words for words in listening if words.startswith(UNIX)), listening[0])
    return words if "://" in words or words.startswith(UNIX) else f"http://{words}"


def _place(url: str) -> Place:
    """From an address, behind which the file of the service's certificate may stand."""
    if url.startswith(UNIX):
        path = url.removeprefix(UNIX)
        return Place(path, socket=path)
    url, _, certificate = url.partition(" ")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.scheme not in ("http", "https"):
        raise ServiceUnreachable(
            f"{url!r} is no address of a sidecar",
            hint="It has the form http://127.0.0.1:9847, https://HOST:PORT or unix:PATH.",
        )
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Place(shown, host, port, tls=parts.scheme == "https", certificate=certificate)


def _pinned(certificate: str) -> ssl.SSLContext:
    """Trusts this certificate alone, whatever names it has: the one in our own file is the right one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context
