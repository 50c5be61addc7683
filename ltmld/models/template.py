"""Whether a model reads a system text, by what ``/api/show`` says of its template.

Rules:
1. A renderer reads it: they are Ollama's own code, and each has a place for it.
2. A Go template reads it where it names ``.System``, or prints messages of any role. One that shows it only beside
   the second message (gemma 3) loses it as soon as Ollama drops old messages, so it counts as not reading it.
3. Where Ollama hands a conversation to a Jinja template, that one decides: some refuse a system message (HTTP 500).
4. What is not known counts as reading it, as Ollama's documentation promises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What Ollama shows for a model that has no Go template of its own.
_BARE = re.compile(r"\s*(\{\{-?\s*\.Prompt\s*-?\}\})?\s*")
# The length of a condition is bounded: a template comes with a model, from whoever made it.
_INDEX_ONE, _SYSTEM, _MORE = r"eq\s{1,9}\$\w{1,30}\s{1,9}1\b", r"[.$]system\b", r"[^}]{0,200}"
_GATED = re.compile(
    rf"\bif\b{_MORE}(?:{_INDEX_ONE}{_MORE}{_SYSTEM}|{_SYSTEM}{_MORE}{_INDEX_ONE})", re.IGNORECASE
)
_PRINTS_ROLE = re.compile(r"\{\{-?\s*(\$\w*)?\.Role\s*-?\}\}")
_JINJA_PRINTS_ROLE = re.compile(r"\{\{[^}]{0,200}\brole\b")
# gemma 2, older mistral: raise_exception('System role not supported')
_JINJA_REFUSES = re.compile(
    r"system role not supported|system (message|prompt)s? (is|are) not supported", re.IGNORECASE
)
# More than any template has; beyond it the search would cost more than it tells.
_CHARS_MAX = 256 * 1024


def reads_system(shown: Mapping[str, Any]) -> bool:
    """Tell whether a system text of a request is part of what this model reads."""
    if shown.get("renderer"):
        return True
    template = _text(shown.get("template"))
    if _BARE.fullmatch(template):
        info = shown.get("model_info")
        jinja = _text(info.get("tokenizer.chat_template")) if isinstance(info, Mapping) else ""
        return _jinja_reads(jinja) if jinja else not template.strip()
    if _GATED.search(template):
        return False
    if ".System" in template:
        return True
    return ".Messages" in template and ('"system"' in template or bool(_PRINTS_ROLE.search(template)))


def _jinja_reads(template: str) -> bool:
    if _JINJA_REFUSES.search(template):
        return False
    return "system" in template or bool(_JINJA_PRINTS_ROLE.search(template))


def _text(value: object) -> str:
    return value[:_CHARS_MAX] if isinstance(value, str) else ""
