"""The JSON shapes of the contract: ledger values on their way out.

Rules:
1. Ids are strings, times RFC 3339 in UTC, absent times ``null``; a key is always there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ltmld.core.exchange import StoredMessage
from ltmld.core.hit import Hit, Recollection
from ltmld.core.memory import Memory
from ltmld.core.ports import JsonObject, StageProgress

# What an event may call itself, by the state it led to.
_WHAT = {
    "faded": "faded",
    "superseded": "superseded",
    "disputed": "disputed",
    "forgotten": "forgotten",
    "active": "revived",
}


def moment(value: datetime | None) -> str | None:
    """Return an aware time as RFC 3339 text in UTC."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value else None


def recollection(found: Recollection) -> JsonObject:
    """Return the answer to a recall."""
    return {
        "took_ms": round(found.took_ms, 2),
        "text": found.text,
        "tokens": found.tokens,
        "hits": [_hit(hit) for hit in found.hits],
    }


def _hit(hit: Hit) -> JsonObject:
    return {
        "id": hit.id,
        "kind": hit.kind,
        "text": hit.text,
        "score": round(hit.score, 6),
        "at": moment(hit.at),
        "refs": list(hit.refs),
        "message_ids": list(hit.message_ids),
        "parts": {name: round(value, 6) for name, value in hit.parts.items()},
    }


def memory(value: Memory) -> JsonObject:
    """Return one memory, its sources as ids and quotes."""
    return {
        "id": value.id,
        "scope": value.scope,
        "kind": value.kind.value,
        "text": value.text,
        "subject": value.subject,
        "attribute": value.attribute,
        "when": value.when,
        "state": value.state.value,
        "pinned": value.pinned,
        "importance": round(value.importance, 4),
        "confidence": round(value.confidence, 4),
        "frequency": value.frequency,
        "strength": round(value.strength, 4),
        "stability_days": round(value.stability_days, 2),
        "cues": list(value.cues),
        "valid_from": moment(value.valid_from),
        "valid_to": moment(value.valid_to),
        "recorded_at": moment(value.recorded_at),
        "retired_at": moment(value.retired_at),
        "used_at": moment(value.used_at),
        "superseded_by": value.superseded_by,
        "version": value.version,
        "sources": [{"message_id": source.message_id, "quote": source.quote} for source in value.sources],
    }


def memory_with_evidence(value: Memory, messages: Sequence[StoredMessage]) -> JsonObject:
    """Return one memory, each source with the message it points to."""
    known = {message.id: message for message in messages}
    shown = memory(value)
    shown["sources"] = [source | _evidence(known.get(source["message_id"])) for source in shown["sources"]]
    return shown


def _evidence(message: StoredMessage | None) -> JsonObject:
    if message is None:
        return {"text": "", "speaker": "", "at": None, "ref": "", "thread_id": "", "exchange_id": ""}
    return {
        "text": message.text,
        "speaker": message.speaker or message.role,
        "at": moment(message.at),
        "ref": message.ref,
        "thread_id": message.thread_id,
        "exchange_id": message.exchange_id,
    }


def progress(value: StageProgress) -> JsonObject:
    """Return one step of a running cycle."""
    return asdict(value) | {"counts": dict(value.counts)}


def event(row: Mapping[str, Any]) -> JsonObject:
    """Return one change of a memory: when, by whom, what, in one word and in detail."""
    before, after = row["before"], row["after"]
    what, detail = _change(before, after)
    return {
        "at": row["at"],
        "version": row["version"],
        "what": what,
        "change": detail,
        "cause": row["cause"],
        "cycle_id": row["cycle_id"] or "",
        "before": before,
        "after": after,
    }


def _change(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[str, str]:
    if before is None:
        return "learned", str(after.get("text", ""))
    what = "changed"
    if "state" in after:
        what = _WHAT.get(str(after["state"]), what)
    elif "frequency" in after:
        what = "reinforced"
    elif set(after) == {"strength"}:
        what = "weakened"
    # When it retired is when the event happened.
    shown = {name: value for name, value in after.items() if name != "retired_at"}
    return what, ", ".join(
        f"{name} {_short(before.get(name))} → {_short(value)}" for name, value in shown.items()
    )


def _short(value: Any) -> str:
    match value:
        case float():
            return f"{value:.3g}"
        case list():
            return str(len(value))
        case None | "":
            return "nothing"
        case _:
            return str(value)
