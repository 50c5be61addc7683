r"""The tags around everything that ltmld puts into a prompt.

Rules:
1. ``strip`` undoes an injection: ``strip(system + "\n\n" + wrap(x)) == system`` and
   ``strip(wrap(x) + "\n\n" + words) == words``, however many blocks stand there one after the other.
2. Nothing inside a block can close it: the tag's name is defused in what ``wrap`` is given.
3. Only a whole block counts: a person who writes about the opening tag alone keeps every word.
"""

from __future__ import annotations

from collections.abc import Iterator

OPEN, CLOSE = "<ltmld-memory>", "</ltmld-memory>"

GAP = "\n\n"
"""What stands between a block and the client's own words; ``strip`` takes it away again."""


def wrap(text: str) -> str:
    """Return *text* between the tags."""
    return f"{OPEN}\n{text.replace('ltmld-memory', 'ltmld memory')}\n{CLOSE}"


def strip(text: str) -> str:
    """Return *text* without injected blocks and the gaps that came with them."""
    kept: list[str] = []
    at = 0
    leads = True
    for start, end in _blocks(text):
        leads = leads and start == at
        kept.append(text[at:start].removesuffix(GAP))
        at = end + len(GAP) if leads and text.startswith(GAP, end) else end
    return "".join((*kept, text[at:])) if at else text


def present(text: str) -> bool:
    """Tell whether *text* holds an injected block."""
    return next(_blocks(text), None) is not None


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the blocks stand, each up to the first closing tag; one look at each character at most."""
    at = text.find(OPEN)
    while at >= 0 and (close := text.find(CLOSE, at + len(OPEN))) >= 0:
        end = close + len(CLOSE)
        yield at, end
        at = text.find(OPEN, end)
