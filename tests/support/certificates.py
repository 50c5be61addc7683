"""Real certificates of an authority that nobody but the tests believes."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import trustme

EXPIRED = datetime(2020, 1, 1, tzinfo=UTC)


class Authority:
    """A CA in a folder, and what it has signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca_file)

    def issue(self, *names: str, expires_at: datetime | None = None) -> tuple[Path, Path]:
        """Return the files of a certificate for *names* and of its key."""
        signed = self._authority.issue_cert(*names, not_after=expires_at)
        stem = f"{len(list(self._folder.iterdir()))}"
        certificate, key = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        certificate.write_bytes(b"".join(part.bytes() for part in signed.cert_chain_pems))
        signed.private_key_pem.write_to_path(key)
        return certificate, key

    def server(self, *names: str, expires_at: datetime | None = None) -> ssl.SSLContext:
        """Return what a server for *names* needs."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.issue(*names, expires_at=expires_at))
        return context

    def client(self) -> ssl.SSLContext:
        """Return what a client needs that believes this authority only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca_file)
        return context
