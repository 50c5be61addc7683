"""The way to one of the addresses of a name: each is tried, none is waited for while another could answer.

Rules:
1. A name is looked up anew for every connection: where it moves, the next connection follows.
2. Addresses are tried in the resolver's order, the two families in turn (RFC 8305): the next one begins when one
   has failed, or after ``STAGGER_S``. The first connection that stands wins; the others are closed.
3. ``localhost`` is this machine's loopback in both families, whatever a resolver says.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any

from ltmld.proxy.upstream import Upstream

STAGGER_S = 0.25
"""How long one address has before the next is tried beside it (RFC 8305: 250 ms)."""

ADDRESSES_MAX = 8
"""Most addresses of one name that are tried."""

_KEEPALIVE_S = 15
"""Go's clients look every 15 s whether a silent peer still lives; a model that loads is silent for minutes."""

# RFC 6761 6.3, and no resolver: many a system's knows only one of the two.
_LOCALHOST = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))

_Address = tuple[int, int, int, str, Any]


async def dialed(made: Callable[[], Upstream], host: str, port: int) -> Upstream:
    """Return a connection, *made* by the first address that answers.

    Raises:
        OSError: the name is unknown, or no address of it answers.
    """
    waiting = deque(_in_turn(await _found(host, port))[:ADDRESSES_MAX])
    attempts: set[asyncio.Task[Upstream]] = set()
    failure = OSError("the name has no address")
    try:
        while waiting or attempts:
            if waiting:
                attempt = _connected(made, waiting.popleft())
                attempts.add(asyncio.get_running_loop().create_task(attempt))
            done, _ = await asyncio.wait(
                attempts, timeout=STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for ended in done:
                attempts.discard(ended)
                error = ended.exception()
                if error is None:
                    return ended.result()
                failure = error if isinstance(error, OSError) else failure
        raise failure
    finally:
        for attempt_left in attempts:
            attempt_left.cancel()
            attempt_left.add_done_callback(_drop)


def watch(connection: socket.socket) -> None:
    """Let the system notice when a peer on the network is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):  # macOS calls the first one as the second
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, _KEEPALIVE_S)


async def _found(host: str, port: int) -> Sequence[_Address]:
    if host.rstrip(".") == "localhost":
        return [(family, socket.SOCK_STREAM, 0, "", (place, port)) for family, place in _LOCALHOST]
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def _connected(made: Callable[[], Upstream], address: _Address) -> Upstream:
    family, _, _, _, place = address
    _, upstream = await asyncio.get_running_loop().create_connection(made, place[0], place[1], family=family)
    return upstream


def _drop(attempt: asyncio.Task[Upstream]) -> None:
    """Close what stands, but came too late."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().drop()


def _in_turn(found: Sequence[_Address]) -> list[_Address]:
    """Return the addresses with the families in turn, the resolver's favorite first."""
    first = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    pairs = chain.from_iterable(zip_longest(first, others))
    return [address for address in pairs if address is not None]
