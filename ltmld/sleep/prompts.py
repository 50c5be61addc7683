"""Find and fill the prompt of a model call: one Markdown file each, and a user's copy goes first.

A prompt file begins with front matter (``version``, ``schema``) between lines of ``---``; then come the
sections ``# System`` and ``# Prompt``, with placeholders like ``{{episode}}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ltmld.config import config_dir
from ltmld.errors import SettingsError
from ltmld.resources import resource

_FILE = re.compile(
    r"\A---\n(?P<front>.*?)\n---\n.*?^# System\n(?P<system>.*?)^# Prompt\n(?P<prompt>.*)\Z",
    re.DOTALL | re.MULTILINE,
)
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt template; ``schema`` names the form of the answer."""

    name: str
    version: str
    schema: str
    system: str
    prompt: str

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the prompt with every placeholder replaced; what is put in is never looked at again."""
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), self.prompt)


def load_prompt(name: str, *, placeholders: frozenset[str]) -> Prompt:
    """Return the prompt *name*: the user's copy in ``<config>/prompts``, else the one shipped.

    Raises:
        SettingsError: the file cannot be used: no front matter, a section or a placeholder is missing.
        NotFoundError: the installation is incomplete.
    """
    own = config_dir() / "prompts" / f"{name}.md"
    path = own if own.is_file() else resource("prompts", f"{name}.md")
    return _read(path, name, placeholders)


def _read(path: Path, name: str, placeholders: frozenset[str]) -> Prompt:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"Prompt {path} cannot be read: {error}. Correct or remove it.") from error
    found = _FILE.match(text.replace("\r\n", "\n"))
    if found is None:
        raise SettingsError(
            f"Prompt {path} is not a prompt: it needs front matter between ---, then # System and # Prompt. "
            "Correct it, or remove it to use the one that ships with ltmld."
        )
    front = dict(line.split(":", 1) for line in found["front"].splitlines() if ":" in line)
    missing = placeholders - set(_PLACEHOLDER.findall(found["prompt"]))
    if missing:
        raise SettingsError(f"Prompt {path} lacks {{{{{min(missing)}}}}}. Put it where the text belongs.")
    return Prompt(
        name=name,
        version=front.get("version", "").strip(),
        schema=front.get("schema", "").strip(),
        system=found["system"].strip(),
        prompt=found["prompt"].strip(),
    )
