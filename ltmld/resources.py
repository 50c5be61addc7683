"""Find the files that ship beside the code: prompts, systemd and launchd templates.

In a wheel they lie in ``ltmld/_resources``; in a checkout at the top level.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ltmld.errors import NotFoundError

_PACKAGED = Path(str(resources.files("ltmld"))) / "_resources"
_CHECKOUT = Path(__file__).resolve().parent.parent


def resource(folder: str, name: str) -> Path:
    """Return the path of a shipped file.

    Raises:
        NotFoundError: the installation is incomplete.
    """
    for root in (_PACKAGED, _CHECKOUT):
        path = root / folder / name
        if path.is_file():
            return path
    raise NotFoundError(f"{folder}/{name} is missing from this installation of ltmld. Install it again.")
