"""What arrived at the stand-in, kept for those who want to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ltmld.errors import WireError
from ltmld.wire.encoding import decoded
from ltmld.wire.json_text import scan
from ltmld.wire.structs import Struct

# Enough for a benchmark's warm-up; a long run keeps only the latest.
REQUESTS_MAX = 10_000
# Ollama's own limit on what a zstd body may unpack to.
UNPACKED_BYTES_MAX = 20 << 20


@dataclass(frozen=True, kw_only=True)
class SeenRequest:
    """One request, byte for byte where it matters."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query, and without scheme and host where a proxy's form of it came."""
        target = self.target.partition("?")[0]
        if not target.startswith("http://"):
            return target
        return "/" + target.removeprefix("http://").partition("/")[2]

    def header(self, name: str) -> str:
        """Return the first value of a header, empty when it did not come."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @cached_property
    def tree(self) -> Mapping[str, Any]:
        """The body's JSON object, unpacked where it came packed, empty when it holds none."""
        try:
            plain = decoded(self.body, self.header("Content-Encoding"), UNPACKED_BYTES_MAX)
            value = scan(plain.decode("utf-8", "replace"), struct=Struct()).value
        except WireError:
            return {}
        return value if isinstance(value, dict) else {}

    @cached_property
    def prompt(self) -> str:
        """Everything a model would be told: system text, instructions, messages, prompt."""
        tree = self.tree
        told = [tree.get(name) for name in ("system", "instructions", "prompt")]
        given = tree.get("input")
        items = [*(tree.get("messages") or []), *(given if isinstance(given, list) else [given])]
        told += [item.get("content") if isinstance(item, dict) else item for item in items]
        return "\n\n".join(text for each in told for text in _texts(each))


def _texts(content: Any) -> list[str]:
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return [text for text in texts if isinstance(text, str) and text]
