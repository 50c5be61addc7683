"""The name that a client gives its conversation inside the body, where it does.

Rules:
1. Only a field that a known client fills with one id for each conversation counts; ``user`` names a person.
2. A name is as the client wrote it; one that is too long to be an id is replaced by its digest.
3. Nothing here raises: a field of another shape names nothing.
4. Linear in the length of a field, and what no client writes into one is not taken apart at all: this runs for
   requests that Ollama would refuse.
"""

from __future__ import annotations

from hashlib import sha256

import orjson

from ltmld.wire.fields import Tree, said, told
from ltmld.wire.json_text import clean

# Codex' and Claude Code's ids are UUIDs of 36 characters; four times as much holds any prefix before them.
_KEY_CHARS_MAX = 160
# Claude Code's names of a device, an account and a session have 64, 36 and 36 characters.
_USER_ID_CHARS_MAX = 1024
# Claude Code until 2.1: user_<hash>_account_<uuid or nothing>_session_<uuid>.
_LEGACY = ("user_", "_account_", "_session_")
# LibreChat's and Open WebUI's words for it, as they stand in metadata where a person configures them to be sent.
_METADATA_NAMES = ("chat_id", "conversation_id", "thread_id", "session_id")


def thread_key(tree: Tree) -> str:
    """Return the conversation's name, empty when the body has none.

    In order: OpenAI's ``conversation`` and ``prompt_cache_key`` (Codex, opencode), the session in Anthropic's
    ``metadata.user_id`` (Claude Code), an id in ``metadata``.
    """
    metadata = told(tree, "metadata")
    found = (
        said(tree, "conversation"),
        said(told(tree, "conversation"), "id"),
        said(tree, "prompt_cache_key"),
        _session(said(metadata, "user_id")),
        *(said(metadata, name) for name in _METADATA_NAMES),
    )
    return _bounded(clean(next((name.strip() for name in found if name.strip()), "")))


def _session(user_id: str) -> str:
    """Return the session part of Claude Code's ``metadata.user_id``: of the old form, or of the JSON object."""
    if len(user_id) > _USER_ID_CHARS_MAX:
        return ""
    if user_id.startswith(_LEGACY[0]):
        return _legacy(user_id)
    if not user_id.startswith("{"):
        return ""
    try:
        return said(orjson.loads(user_id), "session_id")
    except orjson.JSONDecodeError:
        return ""


def _legacy(user_id: str) -> str:
    """Return what follows the last separator, where all stand in order between words."""
    user, account, session = _LEGACY
    front, separator, name = user_id.rpartition(session)
    ordered = separator and front.startswith(user) and account in front
    return name if ordered and name and _words(front + name) else ""


def _words(text: str) -> bool:
    return text.replace("-", "").replace("_", "").isalnum()


def _bounded(key: str) -> str:
    return key if len(key) <= _KEY_CHARS_MAX else sha256(key.encode()).hexdigest()
