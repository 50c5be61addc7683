"""The way to one of the addresses of a name: each is tried, none is waited for while another could answer.

Rules:
1. A name is looked up anew for every connection: where it moves, the next connection follows.
2. Addresses are tried in the resolver's order, the two families in turn (RFC 8305): the next one begins when one
   has failed, or after ``STAGGER_S``. The first connection that stands wins; the others are closed.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

STAGGER_S = 0.25
"""How long one address has before the next is tried beside it (RFC 8305: 250 ms)."""

ADDRESSES_MAX = 8
"""Most addresses of one name that are tried."""

_KEEPALIVE_S = 15
"""Go's clients look every 15 s whether a silent peer still lives; a model that loads is silent for minutes."""

_Address = tuple[int, int, int, str, Any]


async def dialed(host: str, port: int) -> socket.socket:
    """Return a connected socket.

    Raises:
        OSError: the name is unknown, or no address of it answers.
    """
    loop = asyncio.get_running_loop()
    found: Sequence[_Address] = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    waiting = deque(_in_turn(found)[:ADDRESSES_MAX])
    attempts: set[asyncio.Task[socket.socket]] = set()
    failure = OSError("the name has no address")
    try:
        while waiting or attempts:
            if waiting:
                attempts.add(loop.create_task(_connected(waiting.popleft())))
            done, _ = await asyncio.wait(
                attempts, timeout=STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    attempts.discard(attempt)
                    return attempt.result()
                attempts.discard(attempt)
                failure = error if isinstance(error, OSError) else failure
        raise failure
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_close)


def watch(connection: socket.socket) -> None:
    """Let the system notice when a peer on the network is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):  # macOS calls the first one as the second
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, _KEEPALIVE_S)


async def _connected(address: _Address) -> socket.socket:
    family, kind, protocol, _, place = address
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(0)
        await asyncio.get_running_loop().sock_connect(connection, place)
    except BaseException:
        connection.close()
        raise
    return connection


def _close(attempt: asyncio.Task[socket.socket]) -> None:
    """Close what stands, but came too late."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _in_turn(found: Sequence[_Address]) -> list[_Address]:
    """Return the addresses with the families in turn, the resolver's favorite first."""
    first = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    pairs = chain.from_iterable(zip_longest(first, others))
    return [address for address in pairs if address is not None]
