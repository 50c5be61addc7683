"""Whose memory and which conversation: believed from trusted peers, and found again by what was said."""

from __future__ import annotations

import json
from typing import Any

from ltmld.core.ports import RequestHead
from ltmld.core.scope import is_scope
from ltmld.wake.identity import Identity, identify, path_of, with_refs
from ltmld.wire.dialects import Request, dialect_for

TRUSTED = ("127.0.0.1",)


def a_head(*headers: tuple[bytes, bytes], peer: str = "127.0.0.1") -> RequestHead:
    """Build a request head."""
    return RequestHead(method="POST", target="/api/chat?x=1", headers=headers, peer=peer)


def a_request(*messages: tuple[str, str], **more: Any) -> Request:
    """Parse a chat request with these messages."""
    dialect = dialect_for("POST", "/api/chat")
    assert dialect is not None
    listed = [{"role": role, "content": text} for role, text in messages]
    return dialect.parse(json.dumps({"model": "m", "messages": listed, **more}).encode())


def test_headers_of_a_trusted_peer_name_scope_thread_and_speaker() -> None:
    head = a_head(
        (b"x-ltmld-scope", b"anna"), (b"x-openwebui-chat-id", b"c-1"), (b"x-openwebui-user-name", b"Anna%20B")
    )
    found = identify(head, trusted_peers=TRUSTED)
    assert (found.scope, found.thread_key, found.user_name) == ("anna", "c-1", "Anna B")


def test_headers_of_a_stranger_are_not_believed() -> None:
    head = a_head((b"x-ltmld-scope", b"anna"), (b"x-ltmld-thread", b"t"), peer="192.168.1.7")
    found = identify(head, trusted_peers=TRUSTED)
    assert (found.scope, found.thread_key) == ("default", "")


def test_names_that_cannot_be_scopes_never_share_a_memory() -> None:
    names = ["../etc", "josé", "mär ia", "a" * 300]
    heads = [a_head((b"x-ltmld-scope", name.encode())) for name in names]
    scopes = {identify(head, trusted_peers=TRUSTED).scope for head in heads}
    assert len(scopes) == len(names)
    assert "default" not in scopes
    assert all(is_scope(scope) for scope in scopes)


def test_a_malformed_time_is_no_time() -> None:
    found = identify(a_head((b"x-ltmld-at", b"yesterday")), trusted_peers=TRUSTED)
    assert found.at is None


def test_the_next_turn_extends_the_chain_of_the_last() -> None:
    first = path_of(a_request(("user", "hello")), Identity())
    second = path_of(a_request(("user", "hello"), ("assistant", "hi"), ("user", "and?")), Identity())
    assert second[0].chain == first[0].chain
    assert len({item.chain for item in second}) == 3


def test_system_text_never_changes_which_conversation_it_is() -> None:
    plain = path_of(a_request(("user", "hello")), Identity())
    clocked = path_of(a_request(("system", "It is 10:31."), ("user", "hello")), Identity())
    assert [item.chain for item in plain] == [item.chain for item in clocked]


def test_an_injected_note_never_changes_which_conversation_it_is() -> None:
    noted = "<ltmld-memory>\nold\n</ltmld-memory>\n\nhello"
    plain, injected = (path_of(a_request(("user", text)), Identity()) for text in ("hello", noted))
    assert plain[0].chain == injected[0].chain
    assert injected[0].message.text == "hello"


def test_references_go_to_new_messages_in_order_and_the_last_to_the_reply() -> None:
    path = path_of(a_request(("user", "a"), ("assistant", "b"), ("user", "c")), Identity())
    named, reply = with_refs(path, known=2, refs=("D1:3", "D1:4"))
    assert [item.ref for item in named] == ["", "", "D1:3"]
    assert reply == "D1:4"
