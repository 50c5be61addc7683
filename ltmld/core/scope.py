"""A scope: whose memory it is, the wall that recall never crosses."""

from __future__ import annotations

import re

DEFAULT_SCOPE = "default"

# Letters, digits and the marks that ids of real systems carry; 128 is longer than any UUID or mail address in use.
_SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,127}")


def is_scope(name: str) -> bool:
    """Tell whether *name* can be a scope."""
    return _SCOPE.fullmatch(name) is not None
