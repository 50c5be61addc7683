"""Certificates: which of Ollama's are believed, and which one the data plane shows to its clients.

Rules:
1. An https upstream's certificate is always checked, by chain and by name. No setting switches that off: who has a
   certificate of his own names it, or its CA, in ``proxy.ca_file``, which is added to the system's.
2. A certificate that is named in ``proxy.ca_file`` itself is enough, be it a CA or not, as it is for curl.
3. HTTP/1.1 only: no other protocol is offered, or taken.
4. A certificate that is renewed in its files is shown from the next look on, without a restart. While the files
   cannot be used (one of the two is still the old one), the certificate before stays.
"""

from __future__ import annotations

import contextlib
import ssl
from functools import lru_cache
from pathlib import Path

import certifi

from ltmld.core.ollama_host import OllamaHost
from ltmld.errors import SettingsError

_PROTOCOLS = ["http/1.1"]


def trust_for(target: OllamaHost, ca_file: Path | None) -> ssl.SSLContext | None:
    """Return what decides whether an https upstream is believed; ``None`` where there is nothing to believe.

    Raises:
        SettingsError: *ca_file* cannot be read, or holds no certificate.
    """
    return _trust(ca_file) if target.tls else None


@lru_cache(maxsize=4)
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Make the one context that everything here shares: it takes tens of milliseconds, and megabytes."""
    context = ssl.create_default_context()
    known = ssl.get_default_verify_paths()
    if not (known.cafile or known.capath):  # a Python of its own, that knows no system's store
        context.load_verify_locations(cafile=certifi.where())
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Python 3.13 alone refuses private CAs that lack a key identifier; Ollama's own clients take them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"proxy.ca_file {ca_file} cannot be used: {_reason(error)}. "
                "It holds the certificates to believe, in PEM form; correct the path, or leave the setting out."
            ) from error
    return context


class Identity:
    """The certificate that the data plane shows to its clients."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the files.

        Raises:
            SettingsError: one of them cannot be read or used, or they do not belong together.
        """
        self._certificate, self._key = certificate, key
        self._seen = self._changed_at()
        self.context = _identity(certificate, key)

    def refresh(self) -> None:
        """Show what the files hold now, where that has changed since the last look.

        Raises:
            SettingsError: they cannot be used; said once for each change.
        """
        changed_at = self._changed_at()
        if changed_at != self._seen:
            self._seen = changed_at
            _identity(self._certificate, self._key)  # tried aside: a pair loaded by half would serve nobody
            _load(self.context, self._certificate, self._key)

    def _changed_at(self) -> list[int]:
        times = []
        for file in (self._certificate, self._key):
            with contextlib.suppress(OSError):  # a file that is not there has no time
                times.append(file.stat().st_mtime_ns)
        return times


def _identity(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)
    _load(context, certificate, key)
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise SettingsError(
                f"proxy.{name} {path} cannot be read: {_reason(error)}. "
                "Correct the path, or give the user that runs ltmld the right to read the file."
            ) from error
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"proxy.tls_certificate {certificate} and proxy.tls_key {key} cannot be used: {_reason(error)}. "
            "Both are PEM files; the key is the certificate's own, and not encrypted."
        ) from error


def _no_password() -> str:
    """Refuse, in place of asking a terminal that a service does not have."""
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it is no PEM file").replace("_", " ").lower()
    return (getattr(error, "strerror", None) or str(error)).lower()
