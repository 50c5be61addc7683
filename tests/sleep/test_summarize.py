"""Promise: a lesson is shorter than its notes, carries all their sources, and is made once."""

from __future__ import annotations

from ltmld.core.memory import Memory, MemoryKind, Source
from ltmld.core.proposal import Learn, Supersede
from ltmld.sleep.overlay import overlaid
from ltmld.sleep.summarize import Theme, lesson, themes
from tests.support.ledgers import EPOCH, a_memory


def notes(count: int = 3, *, start: int = 0) -> list[Memory]:
    return [
        a_memory(
            f"Ana makes pottery bowl number {place} in her studio.",
            id=f"mem-{place}",
            subject="Ana",
            sources=(Source(message_id=f"msg-{place}", quote="q"),),
        )
        for place in range(start, start + count)
    ]


def themed(memories: list[Memory]) -> tuple[list[Theme], list[object]]:
    ids = [memory.id for memory in memories if memory.kind is not MemoryKind.LESSON]
    wanted, stronger = themes([ids], memories=memories, fresh=frozenset(ids))
    return wanted, list(stronger)


def drawn(
    theme: Theme, text: str = "Ana makes pottery.", *, name: str = "mem-lesson"
) -> list[Learn | Supersede]:
    return lesson(theme, text, memory_id=name, scope="default", now=EPOCH, base_days=30.0)


def test_a_lesson_carries_the_sources_of_all_its_notes() -> None:
    learned = drawn(themed(notes())[0][0])[0]
    assert isinstance(learned, Learn)
    assert learned.memory.kind is MemoryKind.LESSON
    assert {source.message_id for source in learned.memory.sources} == {"msg-0", "msg-1", "msg-2"}
    assert learned.memory.subject == "Ana"


def test_a_lesson_that_is_longer_or_says_more_is_refused() -> None:
    theme = themed(notes())[0][0]
    assert drawn(theme, "Ana " + "makes pottery " * 40) == []
    assert drawn(theme, "Ana makes pottery with John.") == []
    assert drawn(theme, "Ana made 17 bowls.") == []
    assert drawn(theme, " ") == []


def test_two_notes_are_no_theme() -> None:
    assert themed(notes(2)) == ([], [])


def test_the_same_set_again_makes_no_second_lesson() -> None:
    memories = notes()
    after = overlaid(memories, drawn(themed(memories)[0][0]))
    assert themed(after) == ([], [])


def test_a_grown_set_strengthens_its_lesson() -> None:
    memories = notes(5)
    after = overlaid(memories, drawn(themed(memories)[0][0]))
    wanted, stronger = themed([*after, *notes(1, start=5)])
    assert wanted == []
    grown = overlaid(after, stronger)  # type: ignore[arg-type] # a list of Reinforce
    found = next(memory for memory in grown if memory.kind is MemoryKind.LESSON)
    assert len(found.sources) == 6
    assert found.frequency == 2


def test_a_much_grown_set_gets_a_new_lesson_in_place_of_the_old() -> None:
    memories = notes(3)
    after = overlaid(memories, drawn(themed(memories)[0][0]))
    wanted, _ = themed([*after, *notes(2, start=3)])
    found = drawn(wanted[0], name="mem-second")
    assert isinstance(found[1], Supersede)
    assert (found[1].memory_id, found[1].by) == ("mem-lesson", "mem-second")


def test_a_theme_without_anything_of_tonight_keeps_its_lesson_as_it_is() -> None:
    memories = notes(3)
    after = overlaid(memories, drawn(themed(memories)[0][0])) + notes(2, start=3)
    ids = [memory.id for memory in after if memory.kind is not MemoryKind.LESSON]
    assert themes([ids], memories=after, fresh=frozenset()) == ([], [])
