"""What the system knows about connections: how many it allows, and which of them their peers have left."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import select

RESERVE = 512
"""File descriptors kept for what is no client: the ledger, the index, the control plane, those turned away."""

# Linux alone tells of a close that has arrived behind unread bytes; elsewhere a reset is told.
_LEFT = getattr(select, "POLLRDHUP", 0)


def room_for(connections: int) -> int:
    """Raise the limit of open files as far as *connections* need and the system allows; return how many fit.

    A client's connection has one to Ollama beside it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = RESERVE + 2 * connections
    if soft == resource.RLIM_INFINITY:
        return connections
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS refuses what its kernel would not hold
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return max(1, min(connections, (soft - RESERVE) // 2))


def left(transport: asyncio.Transport) -> bool:
    """Tell whether the peer has gone, though nobody reads from it: its reset, or the end of its direction, is here."""
    peer = transport.get_extra_info("socket")
    if peer is None or peer.fileno() < 0:
        return False
    asking = select.poll()
    asking.register(peer.fileno(), _LEFT)
    return bool(asking.poll(0))
