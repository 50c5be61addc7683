"""The bearer token of the control plane: one secret in one file, readable by its owner alone.

Rules:
1. The file appears whole or not at all: it is written beside its place and linked into it.
2. Two processes that make it at the same time end with the same token.
3. It is never logged and never printed.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ltmld.errors import DaemonAbsentError, RefusedError

NAME = "admin.token"

# 32 random bytes: as much as a session key; 43 characters once spelled for a URL.
TOKEN_BYTES = 32
TOKEN_CHARACTERS_MIN = 32
OWNER_ONLY = 0o600


def load_or_make(data_dir: Path) -> str:
    """Return the token of *data_dir*, made at the first call.

    Raises:
        RefusedError: the file cannot be read or written, or holds no token.
    """
    path = data_dir / NAME
    try:
        if not path.exists():
            _make(path)
        path.chmod(OWNER_ONLY)  # a copy or a backup may have opened it to others
        return _checked(path, path.read_text("ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(
            f"{path} cannot be read or written ({error}). Make {data_dir} a folder that you may write."
        ) from error


def read(data_dir: Path) -> str:
    """Return the token that a running daemon made.

    Raises:
        DaemonAbsentError: there is none: no daemon has run on this folder.
        RefusedError: the file cannot be read, or holds no token.
    """
    path = data_dir / NAME
    try:
        return _checked(path, path.read_text("ascii"))
    except FileNotFoundError as error:
        raise DaemonAbsentError(
            f"{path} does not exist: no daemon has run on this folder. Start `ltmld serve`."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(
            f"{path} cannot be read ({error}). It belongs to whoever runs the daemon."
        ) from error


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _link(draft: Path, path: Path) -> None:
    try:
        # A link, not a rename: it refuses to replace a token that another process made meanwhile.
        path.hardlink_to(draft)
    except FileExistsError:
        return


def _checked(path: Path, text: str) -> str:
    token = text.strip()
    if len(token) < TOKEN_CHARACTERS_MIN or not token.isprintable():
        raise RefusedError(f"{path} does not hold a token. Remove it: the next start makes a new one.")
    return token
