"""A listening socket, or a message that says who to ask."""

from __future__ import annotations

import errno
import socket

from ltmld.errors import PortInUseError, SettingsError


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a TCP socket bound to the control plane's address.

    Raises:
        PortInUseError: another program listens there.
        SettingsError: the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"The control plane cannot listen on {host}:{port}: another program does. "
                "Stop it, or choose another address with LTMLD_ADMIN_LISTEN."
            ) from error
        raise SettingsError(
            f"The control plane cannot listen on {host}:{port} ({error.strerror}). Correct LTMLD_ADMIN_LISTEN."
        ) from error
    return listener
