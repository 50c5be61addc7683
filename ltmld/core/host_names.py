"""Which Host headers name this machine in a way that no stranger's name server can: Ollama's rule, as arithmetic.

Rules (Ollama's ``allowedHostsMiddleware``, docs/adr/0007):
1. Taken are no host at all, loopback, private and unspecified addresses, ``localhost``, this machine's name, and
   names under ``.localhost``, ``.local`` and ``.internal``.
2. An address of this machine is taken too, by who can look at its interfaces: no arithmetic tells.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
# Go's Addr.IsPrivate: RFC 1918 and RFC 4193. Python's is_private takes many more, which Ollama refuses.
_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))

Address = IPv4Address | IPv6Address


def allowed_host(host: str, *, hostname: str) -> bool:
    """Tell whether *host*, the value of a Host header, is taken on the machine *hostname* (rule 1)."""
    name = without_port(host)
    address = address_of(name)
    if address is not None:
        return not is_public(address)
    name = name.lower()
    return name in ("", "localhost", hostname.lower()) or name.endswith(_LOCAL_SUFFIXES)


def without_port(host: str) -> str:
    """Cut the port off as Go's ``net.SplitHostPort`` does: what it cannot split stays whole."""
    name, colon, _ = host.rpartition(":")
    if name.startswith("[") and name.endswith("]"):
        return name[1:-1]
    return name if colon and ":" not in name and "[" not in host and "]" not in host else host


def address_of(name: str) -> Address | None:
    """Return the address that *name* spells (an IPv4 address written as one of IPv6 is that), ``None`` for a name."""
    try:
        address = ip_address(name)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_public(address: Address) -> bool:
    """Tell whether an address may belong to anyone: neither loopback, nor private, nor unspecified."""
    private = any(address in network for network in _PRIVATE if network.version == address.version)
    return not (address.is_loopback or address.is_unspecified or private)
