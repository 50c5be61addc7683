"""How the demo looks: chapters, a conversation as it is typed, what was injected and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.status import Status
from rich.table import Table
from rich.text import Text

from ltmld.cli.paper import clean

_COLUMNS_MAX = 100


class DemoPage:
    """The terminal that the story is told on."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._console.width = min(self._console.width, _COLUMNS_MAX) if self.is_terminal else _COLUMNS_MAX
        self._chapters = 0

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches."""
        return self._console.is_terminal

    def title(self, name: str, *sentences: str) -> None:
        """Print what this is."""
        text = Text("\n".join(sentences))
        self._console.print(Panel(text, title=name, border_style="cyan", padding=(1, 2)))

    def chapter(self, name: str) -> None:
        """Begin a chapter."""
        self._chapters += 1
        self._console.print()
        self._console.print(Rule(f"{self._chapters}. {name}", align="left", style="cyan"))

    def say(self, sentence: str, *, style: str = "") -> None:
        """Print one plain sentence."""
        self._console.print(Text(clean(sentence), style=style))

    def busy(self, doing: str) -> Status:
        """Show that something takes a while."""
        return self._console.status(Text(doing))

    def user(self, words: str) -> None:
        """Print what the user says."""
        self._console.print()
        self._console.print(_line("  Mara      ", words, style="bold green"))

    def reply(self, pieces: Iterable[str]) -> str:
        """Print an answer piece by piece as it comes; return it whole."""
        self._console.print(Text("  stand-in  ", style="bold magenta"), end="")
        said = ""
        for piece in pieces:
            self._console.print(Text(clean(piece)), end="", soft_wrap=True)
            said += piece
        self._console.print()
        return said

    def stages(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Print what each stage of a night did."""
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for step in steps:
            counts = ", ".join(f"{name} {count}" for name, count in step["counts"].items() if count)
            table.add_row(
                str(step["stage"]), Text(clean(counts or "nothing to do"), style="" if counts else "dim")
            )
        self._console.print(Padding(table, (0, 0, 0, 2)))

    def memories(self, memories: Sequence[Mapping[str, Any]]) -> None:
        """Print what was learned, each with the words it rests on."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        table.add_column("memory", ratio=3)
        table.add_column("kind", no_wrap=True)
        table.add_column("because Mara said", ratio=3)
        for memory in memories:
            quotes = " / ".join(f"\u201c{source['quote']}\u201d" for source in memory["sources"][:1])
            table.add_row(Text(clean(memory["text"])), memory["kind"], Text(clean(quotes), style="italic"))
        self._console.print(table)

    def injection(self, injection: Mapping[str, Any]) -> None:
        """Print the exact text that went into the prompt, and why each line was chosen."""
        text = Text(clean(injection["text"]), style="yellow")
        title = f"put at the end of the system text ({injection['tokens']} tokens)"
        self._console.print(Panel(text, title=title, title_align="left", border_style="yellow"))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        table.add_column("line", ratio=3)
        table.add_column("score", justify="right", no_wrap=True)
        table.add_column("why", ratio=2)
        for item in injection["items"]:
            table.add_row(
                Text(clean(item["text"])), f"{item['score']:.2f}", Text(clean(item["why"]), style="dim")
            )
        self._console.print(table)

    def beside(self, question: str, *, with_memory: str, without: str) -> None:
        """Print two answers to one question side by side."""
        self._console.print(_line("  Mara asks: ", question, style="bold green"))
        self._console.print()
        width = max(24, (self._console.width - 1) // 2)
        answers = (("with memory", "green", with_memory), ("without memory", "red", without))
        texts = [Text(clean(answer)) for _, _, answer in answers]
        lines = max(len(text.wrap(self._console, width - 4)) for text in texts)
        panels = [
            Panel(text, title=title, border_style=color, width=width, height=lines + 2)
            for text, (title, color, _) in zip(texts, answers, strict=True)
        ]
        self._console.print(Columns(panels, padding=(0, 1)))


def _line(name: str, words: str, *, style: str) -> Table:
    """Return who speaks and what, folded beside the name."""
    made = Table.grid()
    made.add_column(no_wrap=True, style=style)
    made.add_column(overflow="fold")
    made.add_row(name, Text(clean(words)))
    return made
