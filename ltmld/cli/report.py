"""The report of a sleep cycle, told to a person: what was learned, reinforced, replaced, faded, refused, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ltmld.cli.paper import length, moment, pairs, show, table, words

# Each list of the report, its mark, and what it says.
LISTS = (
    ("learned", "+", "learned"),
    ("lessons", "*", "lessons"),
    ("reinforced", "=", "met again"),
    ("superseded", ">", "replaced by something newer"),
    ("faded", "-", "faded"),
    ("refused", "x", "not believed"),
    ("warnings", "!", "to know"),
)
REASONS_SHOWN = 5


def show_cycles(cycles: list[dict[str, Any]]) -> None:
    """Print the list of cycles."""
    columns = ("id", "started", "took", "depth", "scope", "model", "state", "learned", "met again", "faded")
    made = table(
        *columns, whole=("id", "started", "took", "state"), numbers=("learned", "met again", "faded")
    )
    for cycle in cycles:
        report = cycle["report"] or {}
        memories = report.get("memories", {})
        counted = (memories.get(name, "") for name in ("learned", "reinforced", "faded"))
        made.add_row(
            words(cycle["id"]),
            words(moment(cycle["started_at"])),
            words(length(report["took_s"]) if "took_s" in report else ""),
            words(cycle["depth"]),
            words(cycle["scope"] or "all"),
            words(cycle["model"] or "none (rules)"),
            words(cycle["state"].replace("_", " ") + (" (dry run)" if cycle["dry_run"] else "")),
            *(words(count) for count in counted),
        )
    show(made)


def show_report(cycle: dict[str, Any]) -> None:
    """Print one cycle's report."""
    from rich.text import Text

    report = cycle["report"] or {}
    parts: list[Any] = [words(_headline(cycle), style="bold")]
    if "messages" in report:
        parts.append(pairs(_summary(report)))
    for name, mark, title in LISTS:
        lines = report.get(name) or []
        if lines:
            total = report.get("memories", {}).get(name, len(lines))
            parts.append(Text(f"\n{title} ({total})", style="bold"))
            parts += [words(f"  {mark} {line}") for line in lines]
            if total > len(lines):
                parts.append(words(f"    and {total - len(lines)} more"))
    show(*parts)


def _headline(cycle: dict[str, Any]) -> str:
    took = (cycle["report"] or {}).get("took_s")
    whose = f"scope {cycle['scope']}" if cycle["scope"] else "all scopes"
    parts = [
        f"{cycle['depth']} sleep {cycle['id']}",
        cycle["state"].replace("_", " "),
        *([f"after {length(took)}"] if took is not None else []),
        f"({whose}, {cycle['model'] or 'without a model'})",
    ]
    dry = "; a dry run: nothing was changed" if cycle["dry_run"] else ""
    return " ".join(parts) + dry


def _summary(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    messages, memories = report["messages"], report["memories"]
    yield "messages", _numbers(messages, ("gathered", "admitted", "refused", "left"))
    for verdict, title in (("admit", "  admitted"), ("refuse", "  refused")):
        reasons = messages.get("reasons", {}).get(verdict, {})
        most = sorted(reasons.items(), key=lambda reason: -reason[1])[:REASONS_SHOWN]
        if most:
            yield title, ", ".join(f"{reason} ({count})" for reason, count in most)
    yield "memories", _numbers(memories, tuple(memories)) or "nothing new"
    calls = dict(report.get("model_calls", {}))
    took_ms = calls.pop("took_ms", 0.0)
    if any(calls.values()):
        yield "model", f"{_numbers(calls, tuple(calls))} in {length(took_ms / 1000)}"


def _numbers(counts: dict[str, Any], names: tuple[str, ...]) -> str:
    found = ((name.replace("_", " "), counts.get(name)) for name in names)
    return ", ".join(f"{count} {name}" for name, count in found if count) or "none"
