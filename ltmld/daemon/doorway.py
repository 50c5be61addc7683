"""The doorway: where the data plane stands, which decides whose commands it answers, and who attends before memory."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ltmld.config import split_address
from ltmld.daemon.clock import utc_now
from ltmld.wake.clerk import Doorway
from ltmld.wake.waiting import WaitingAttendant

if TYPE_CHECKING:
    from ltmld.config import Settings


def doorway(settings: Settings) -> Doorway:
    """Return where clients come in."""
    host, _ = split_address(settings.listen)
    return Doorway(hostname=socket.gethostname(), on_loopback=_is_loopback(host))


def waiting(settings: Settings, reason: str) -> WaitingAttendant:
    """Return who attends while there is no memory, and says why."""
    return WaitingAttendant(
        reason,
        settings=settings.wake,
        body_bytes_max=settings.proxy.look_bytes_max,
        doorway=doorway(settings),
        clock=utc_now,
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
