"""Write docs/settings.md from the settings themselves, so that the two cannot disagree.

Run with --check to compare instead of writing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ltmld.config import Settings

PAGE = Path(__file__).resolve().parent / "settings.md"
SIGNS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
INTRODUCTION = """\
# Settings

This page is written by `make docs` from `ltmld/config.py` and `ltmld/sections.py`; a test compares the two.

Each setting is looked for in this order: a command-line flag, an environment variable, the TOML file, its
default. An unknown name, a value of the wrong type and a value out of range are refused, with the name of the
setting and what it may be: `ltmld` then ends with exit code 2 and changes nothing.

- TOML file: `config.toml` in the configuration folder (`~/.config/ltmld` on Linux,
  `~/Library/Application Support/ltmld` on macOS; `LTMLD_CONFIG_DIR` moves it). Sections are tables:
  `[wake]` and below it `budget_tokens = 600`.
- Environment: `LTMLD_` and the name in capitals; a section and its setting are joined by two underscores.
- `ltmld config show` prints what is in force.
"""


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    sections: list[tuple[str, type[BaseModel]]] = []
    top: list[str] = []
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            sections.append((name, field.annotation))
        else:
            top.append(_row(name, field))
    parts.append(_table("Where things are", "", top))
    for name, section in sections:
        rows = [_row(f"{name}.{inner}", field) for inner, field in section.model_fields.items()]
        parts.append(_table(f"`[{name}]`", section.__doc__ or "", rows))
    return "\n".join(parts)


def main() -> int:
    """Write the page, or compare it."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE.name} is not what ltmld/config.py says. Run `make docs`.")
    return 1


def _table(title: str, says: str, rows: list[str]) -> str:
    head = "| setting | environment | default | may be | what it does |\n|---|---|---|---|---|"
    introduction = f"{says}\n\n" if says else ""
    return f"## {title}\n\n{introduction}{head}\n" + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    variable = "LTMLD_" + name.replace(".", "__").upper()
    cells = (f"`{name}`", f"`{variable}`", _default(field), _range(field), (field.description or "").strip())
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the user's data folder: `~/.local/share/ltmld` on Linux"
    value = field.default
    if value is None or value == "":
        return "empty"
    if isinstance(value, PurePath):
        return f"`{value}`"
    return f"`{json.dumps(value)}`"


def _range(field: FieldInfo) -> str:
    choices = [str(choice) for choice in get_args(field.annotation) if isinstance(choice, str)]
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    return ", ".join(_limits(field)) or _kind(field)


def _limits(field: FieldInfo) -> Iterator[str]:
    for item in field.metadata:
        for sign, words in SIGNS.items():
            if getattr(item, sign, None) is not None:
                yield f"{words} {getattr(item, sign)}"
        if getattr(item, "pattern", None):
            yield f"`{item.pattern}`"


def _kind(field: FieldInfo) -> str:
    kinds: dict[object, str] = {bool: "`true`, `false`", str: "text", Path: "a path", Path | None: "a path"}
    return kinds.get(field.annotation, "a list")


if __name__ == "__main__":
    raise SystemExit(main())
