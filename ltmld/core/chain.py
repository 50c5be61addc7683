"""The chain of hashes by which a conversation is found again.

A client resends its whole history with every request. Message *i* is known by
``h[i] = sha256(h[i-1], role, words)``, so the same words at the same place of the same conversation
have the same hash, and a prefix that was seen before is found by looking up its last hash.

Rules:
1. Only what survives a round trip through a client counts: role, words without their spacing, images
   by digest, and of a message without words the calls of tools by name and arguments. Thinking, names, tool ids
   and injected blocks do not (the dialects strip the last). Of a tool's result only its place counts: clients
   cut old results short, or put a word in their place.
2. System and developer messages are no part of a chain: clients change them from turn to turn.
3. One pass, linear in the length of the conversation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256

from ltmld.core.message import Message, Role

ROOT = ""
"""The hash before the first message of a conversation."""


def normalized(text: str) -> str:
    """Return *text* with every run of white space as one space, and none around it."""
    return " ".join(text.split())


def chain(previous: str, role: str, text: str) -> str:
    """Return the hash (64 hex digits) of a message with these words after the chain *previous*."""
    # The unit separator cannot stand in a hash or a role, so no two triples are spelled alike.
    link = f"{previous}\x1f{role}\x1f{normalized(text)}"
    return sha256(link.encode("utf-8", "surrogatepass")).hexdigest()


def message_chain(previous: str, message: Message) -> str:
    """Return the hash of *message* after the chain *previous*; attachments count by their digests."""
    if message.role is Role.TOOL:
        return chain(previous, message.role.value, "")
    marks = "".join(f" sha256:{attachment.sha256}" for attachment in message.attachments)
    if message.tool_calls and not message.text.strip():
        marks += "".join(f" call:{call.name}{_arguments(call.arguments)}" for call in message.tool_calls)
    return chain(previous, message.role.value, message.text + marks)


def _arguments(text: str) -> str:
    """Return the arguments of a call as every client spells them; what is no JSON stays as it is."""
    try:
        return json.dumps(json.loads(text or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return text


def chains(messages: Iterable[Message]) -> list[str]:
    """Return the hash after each of *messages*, a conversation without its system messages."""
    found: list[str] = []
    previous = ROOT
    for message in messages:
        previous = message_chain(previous, message)
        found.append(previous)
    return found
