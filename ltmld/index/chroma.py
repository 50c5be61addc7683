"""Where Chroma is: embedded in a folder of ours, or a server that others may use too.

Rules:
1. Chroma is imported late: that takes 0.7 s, and the data plane serves meanwhile. Telemetry is off.
2. Whatever Chroma, its HTTP client or the disk raises becomes ``IndexBrokenError`` (the folder is damaged: it can be
   moved aside) or ``IndexAwayError`` (a server that does not answer, a full disk: nothing is lost, wait).
3. Every call to a server is bounded in time, and a server is looked at before it is trusted: it must be Chroma, of the
   version that ltmld speaks.
4. On a server ltmld touches only collections that bear its own ``identity``.
"""

from __future__ import annotations

import errno
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from ltmld.errors import IndexAwayError, IndexBrokenError

SPOKEN_MAJOR = "1"
"""The major version of Chroma's servers that the installed client speaks with."""

LOOK_TIMEOUT_S = 2.0
# A batch of 512 vectors takes a server tens of milliseconds; one that takes this long is as good as gone.
CALL_TIMEOUT_S = 10.0

_FULL_DISK = ("disk is full", "no space left", "disk quota", "read-only file system", "readonly database")
_FULL_DISK_NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})


class Place(Protocol):
    """Where vectors are kept."""

    @property
    def where(self) -> str:
        """Its name for people."""

    @property
    def identity(self) -> str:
        """What marks collections as ours where there are others."""

    @property
    def remote(self) -> bool:
        """Whether it is another program."""

    def start(self) -> Any:
        """Return a client of Chroma."""

    def end(self, client: Any) -> None:
        """Close a client."""

    def moved_aside(self) -> str:
        """Put what is damaged out of the way, and tell where it is now."""


@dataclass(slots=True)
class ChromaFolder:
    """Chroma in this process, in a folder that nobody else uses."""

    folder: Path
    identity: str = ""
    remote: bool = False

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.folder)

    def start(self) -> Any:
        """Return a client of Chroma."""
        import chromadb  # noqa: PLC0415 - rule 1
        from chromadb.api.shared_system_client import SharedSystemClient  # noqa: PLC0415 - rule 1
        from chromadb.config import Settings  # noqa: PLC0415 - rule 1

        # Chroma keeps one system per path for the life of the process, even when its folder was moved.
        SharedSystemClient.clear_system_cache()
        return chromadb.PersistentClient(path=str(self.folder), settings=Settings(anonymized_telemetry=False))

    def end(self, client: Any) -> None:
        """Close a client."""
        client.close()

    def moved_aside(self) -> str:
        """Put what is damaged out of the way, and tell where it is now."""
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.broken-{number}")).exists():
            number += 1
        try:
            self.folder.rename(aside)
        except OSError as error:
            return f"nowhere ({error})"
        return aside.name


@dataclass(slots=True)
class ChromaServer:
    """A Chroma server, by its URL; *header* and *token* are sent with every call; *folder* is the index's own."""

    url: str
    folder: Path
    header: str = "x-chroma-token"
    token: str = ""
    remote: bool = True
    _identity: str = ""

    @property
    def identity(self) -> str:
        """What marks our collections; it is made once, and lies beside full text.

        Raises:
            IndexBrokenError: the folder cannot be written.
        """
        if not self._identity:
            path = self.folder / "identity"
            try:
                if not path.exists():
                    path.write_text(uuid4().hex, "utf-8")
                self._identity = path.read_text("utf-8").strip()
            except OSError as error:
                raise IndexBrokenError(
                    f"{path} cannot be written: {error}. Make {self.folder} writable."
                ) from error
        return self._identity

    @property
    def where(self) -> str:
        """The server's URL."""
        return self.url

    def start(self) -> Any:
        """Return a client of the server.

        Raises:
            IndexAwayError: it does not answer, refuses the token, is no Chroma or one of another version.
        """
        self._look()
        from chromadb.api.client import Client  # noqa: PLC0415 - rule 1
        from chromadb.config import Settings  # noqa: PLC0415 - rule 1

        parts = urlsplit(self.url)
        settings = Settings(
            anonymized_telemetry=False,
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}",
            chroma_server_http_port=parts.port or (443 if parts.scheme == "https" else 80),
            chroma_server_ssl_enabled=parts.scheme == "https",
            chroma_server_headers=self._headers(),
        )
        client = _within(CALL_TIMEOUT_S, lambda: Client(settings=settings))
        if client is None:
            raise IndexAwayError(f"The Chroma server {self.url} does not answer.")
        # Chroma itself waits for a server without limit.
        client._server._session.timeout = httpx.Timeout(CALL_TIMEOUT_S, connect=LOOK_TIMEOUT_S)  # noqa: SLF001 - see above
        return client

    def end(self, client: Any) -> None:
        """Close a client, and its connections, which Chroma leaves open."""
        # The client for tenants has connections of its own.
        sessions = [api._server._session for api in (client, client._admin_client)]  # noqa: SLF001 - see above
        client.close()
        for session in sessions:
            session.close()

    def moved_aside(self) -> str:
        """A server keeps its own files."""
        return "nowhere"

    def _headers(self) -> dict[str, str]:
        return {self.header: self.token} if self.token else {}

    def _look(self) -> None:
        """Refuse what is no server that the client can speak with, and say why."""
        try:
            with httpx.Client(timeout=LOOK_TIMEOUT_S, headers=self._headers()) as client:
                beat = client.get(f"{self.url}/api/v2/heartbeat")
                version = client.get(f"{self.url}/api/v2/version")
                database = client.get(f"{self.url}/api/v2/tenants/default_tenant/databases/default_database")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise IndexAwayError(
                f"The Chroma server {self.url} does not answer ({str(error) or type(error).__name__}). "
                "Start it, or correct index.url."
            ) from error
        if {beat.status_code, database.status_code} & {401, 403}:
            raise IndexAwayError(f"The Chroma server {self.url} refuses the token. Correct index.token.")
        if beat.status_code in (404, 405, 410) or "heartbeat" not in beat.text:
            raise IndexAwayError(
                f"What answers on {self.url} is no Chroma server of version {SPOKEN_MAJOR} "
                f"(status {beat.status_code}). "
                "Correct index.url, or update the server."
            )
        found = version.text.strip().strip('"')
        if found.partition(".")[0] != SPOKEN_MAJOR:
            raise IndexAwayError(
                f"The Chroma server {self.url} is of version {found[:20]!r}, and ltmld speaks with {SPOKEN_MAJOR}.x. "
                "Update the server, or unset index.url."
            )
        if database.status_code != httpx.codes.OK:
            raise IndexAwayError(
                f"The Chroma server {self.url} does not show its default database (status {database.status_code}). "
                "Mend the server, or correct index.url."
            )


class translated:  # noqa: N801 - reads as the statement it is
    """Turn what Chroma and its client raise into errors of ours."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, IndexBrokenError):
            return
        from chromadb.errors import ChromaError  # noqa: PLC0415 - loaded by then

        if self._place.remote:
            # ValueError: Chroma's client says "could not connect", and reads what is no JSON, in that class.
            if isinstance(error, (ChromaError, httpx.HTTPError, OSError, ValueError, KeyError)):
                raise IndexAwayError(
                    f"The Chroma server {self._place.where} failed ({str(error)[:200] or type(error).__name__})."
                ) from error
        elif isinstance(error, (ChromaError, OSError)):
            if is_full_disk(error):
                raise IndexAwayError(
                    f"Chroma cannot write {self._place.where}: {error}. Free the disk; nothing is lost."
                ) from error
            raise IndexBrokenError(f"Chroma cannot use {self._place.where}: {error}") from error


def _within(timeout_s: float, make: Callable[[], Any]) -> Any:
    """Return what *make* makes, or ``None`` when that takes too long: building a client asks the server, unbounded."""
    made: Future[Any] = Future()

    def run() -> None:
        try:
            made.set_result(make())
        except (httpx.HTTPError, OSError, ValueError, KeyError, RuntimeError) as error:
            made.set_exception(error)

    threading.Thread(target=run, name="chroma-client", daemon=True).start()
    try:
        return made.result(timeout_s)
    except TimeoutError:
        return None


def is_full_disk(error: BaseException) -> bool:
    """Tell whether an error is the disk's and not the file's: what is there is whole."""
    if isinstance(error, OSError) and error.errno in _FULL_DISK_NUMBERS:
        return True
    said = str(error).lower()
    return any(words in said for words in _FULL_DISK)
