r"""The tags around everything that ltmld puts into a prompt.

Rules:
1. ``strip`` undoes an injection: ``strip(system + "\n\n" + wrap(x)) == system`` and
   ``strip(wrap(x) + "\n\n" + words) == words``.
2. Nothing inside a block can close it: the tag's name is defused in what ``wrap`` is given.
3. Only a whole block counts: a person who writes about the opening tag alone keeps every word.
"""

from __future__ import annotations

import re

OPEN, CLOSE = "<ltmld-memory>", "</ltmld-memory>"

GAP = "\n\n"
"""What stands between a block and the client's own words; ``strip`` takes it away again."""

_BLOCK = f"{OPEN}.*?{CLOSE}"
_INJECTED = re.compile(rf"\A{_BLOCK}(?:{GAP})?|(?:{GAP})?{_BLOCK}", re.DOTALL)


def wrap(text: str) -> str:
    """Return *text* between the tags."""
    return f"{OPEN}\n{text.replace('ltmld-memory', 'ltmld memory')}\n{CLOSE}"


def strip(text: str) -> str:
    """Return *text* without injected blocks and the gaps that came with them."""
    return _INJECTED.sub("", text) if OPEN in text else text


def present(text: str) -> bool:
    """Tell whether *text* holds an injected block."""
    return OPEN in text and _INJECTED.search(text) is not None
