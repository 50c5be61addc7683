"""The way to Ollama: where it is, how a connection to it is made, and why none can be.

Rules:
1. Opening, TLS included, is bounded by ``connect_timeout_s``.
2. A connection that ends in ltmld itself is refused: the settings refuse what can be seen in them, but a name, or an
   address of this machine's network, shows only here where it leads.
3. Every failure is one ``UpstreamError`` that says what to do.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from ipaddress import ip_address

from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.errors import UpstreamError
from ltmld.proxy.dial import dialed, watch
from ltmld.proxy.secured import SecuredUpstream
from ltmld.proxy.trust import trust_for
from ltmld.proxy.upstream import Pool, Upstream

Place = tuple[str, int]


class Way:
    """From here to one Ollama."""

    def __init__(self, target: OllamaHost, settings: ProxySettings) -> None:
        self.target = target
        self._settings = settings
        self._trust = trust_for(target, settings.ca_file)
        self._certified_name = target.host.partition("%")[0].rstrip(".")
        self.own: tuple[Place, ...] = ()
        """Where ltmld itself listens."""

    async def connect(self, pool: Pool) -> Upstream:
        """Open a connection.

        Raises:
            UpstreamError: nobody answers at the address, or not in time, or not who should.
        """
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                return await self._connected(pool)
        except TimeoutError:
            raise self._absent(f"no connection within {self._settings.connect_timeout_s:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error.verify_message or str(error)) from error
        except ssl.SSLError as error:
            raise self._no_tls(error) from error
        except OSError as error:
            raise self._absent(_reason(error)) from error

    async def _connected(self, pool: Pool) -> Upstream:
        target, trust = self.target, self._trust

        def made() -> Upstream:
            return Upstream(pool) if trust is None else SecuredUpstream(pool, trust, self._certified_name)

        if target.numeric:
            _, upstream = await asyncio.get_running_loop().create_connection(made, target.host, target.port)
        else:
            upstream = await dialed(made, target.host, target.port)
        try:
            self._check(upstream.transport)
            if isinstance(upstream, SecuredUpstream):
                await upstream.secured
        except BaseException:
            upstream.drop()
            raise
        return upstream

    def _check(self, transport: asyncio.Transport) -> None:
        """Watch over a connection on the network; refuse one that ends here (rule 2)."""
        peer, here = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not here:
            return  # gone again already, as its user is about to notice
        if any(_leads_to(own, peer[:2], here[0]) for own in self.own):
            raise UpstreamError(
                f"{self.target.url} leads back to ltmld itself, which listens there. "
                "Set upstream to where Ollama is; `ltmld status` shows who said otherwise."
            )
        if not ip_address(peer[0].partition("%")[0]).is_loopback:
            watch(transport.get_extra_info("socket"))

    def _absent(self, reason: str) -> UpstreamError:
        remedy = "Start it with `ollama serve`" if self.target.loopback else "See that it runs there"
        return UpstreamError(
            f"Ollama cannot be reached at {self.target.url} ({reason}). {remedy}; ltmld goes on trying."
        )

    def _untrusted(self, reason: str) -> UpstreamError:
        return UpstreamError(
            f"The certificate of {self.target.url} is not to be trusted ({reason.rstrip('.')}). Where it is your own, "
            "name its CA in LTMLD_PROXY__CA_FILE; otherwise correct upstream, or the certificate there."
        )

    def _no_tls(self, error: ssl.SSLError) -> UpstreamError:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        return UpstreamError(
            f"No TLS connection to {self.target.url} ({reason}). "
            "Where Ollama speaks plain HTTP there, say http:// in upstream, with the port."
        )


def _leads_to(own: Place, peer: Place, here: str) -> bool:
    """Tell whether *peer* is what listens at *own*: on this machine, on its port, at its address or any."""
    if peer[1] != own[1]:
        return False
    address = ip_address(peer[0].partition("%")[0])
    on_this_machine = peer[0] == here or address.is_loopback
    return on_this_machine and own[0] in (peer[0], "0.0.0.0", "::")  # noqa: S104 - recognized, not bound


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return f"unknown host: {error.strerror}"
    return (error.strerror or str(error)).lower()
