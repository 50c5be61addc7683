"""Promise: the model is asked once, patiently, and a broken answer is repaired at most once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ltmld.core.ports import Completion
from ltmld.errors import CompletionError, UpstreamError
from ltmld.sleep import asking
from ltmld.sleep.asking import Asker, Halted
from ltmld.sleep.replies import SUMMARIZE_SCHEMA, read_lesson
from tests.support.nights import Bedroom, PlayedModel

GOOD = '{"lesson": "Ana likes tea."}'


class Gone(PlayedModel):
    """A model whose Ollama broke off."""

    def complete(self, **question: object) -> Completion:
        self.asked.append(str(question))
        raise UpstreamError("Ollama is away")


def an_asker(
    bedroom: Bedroom,
    model: PlayedModel,
    *,
    cycle: str = "slp-1",
    busy: Callable[[], bool] = lambda: False,
    pause: Callable[[float], bool] = lambda _seconds: False,
) -> Asker:
    return Asker(
        completer=model, shelf=bedroom.ledger, cycle_id=cycle, busy=busy, pause=pause, alive=lambda: None
    )


def ask(asker: Asker, prompt: str = "notes") -> str:
    return asker.ask(system="s", prompt=prompt, schema=SUMMARIZE_SCHEMA, read=read_lesson)


def test_the_same_question_is_asked_once_for_ever(bedroom: Bedroom) -> None:
    model = PlayedModel(lambda _: GOOD)
    assert ask(an_asker(bedroom, model)) == ask(an_asker(bedroom, model, cycle="slp-2")) == "Ana likes tea."
    assert len(model.asked) == 1


def test_another_model_is_asked_itself(bedroom: Bedroom) -> None:
    ask(an_asker(bedroom, PlayedModel(lambda _: GOOD)))
    other = PlayedModel(lambda _: GOOD, model="other:latest")
    ask(an_asker(bedroom, other))
    assert len(other.asked) == 1


def test_a_broken_answer_is_repaired_once_with_its_fault(bedroom: Bedroom) -> None:
    model = PlayedModel(lambda prompt: GOOD if "could not be used" in prompt else "I am sorry")
    asker = an_asker(bedroom, model)
    assert ask(asker) == "Ana likes tea."
    assert (asker.tally.repaired, asker.tally.failed, len(model.asked)) == (1, 0, 2)
    assert 'no "lesson"' in model.asked[1]
    assert "notes" in model.asked[1]


def test_an_answer_broken_twice_is_lost_for_this_cycle_and_asked_again_the_next_night(
    bedroom: Bedroom,
) -> None:
    model = PlayedModel(lambda _: "nonsense")
    for cycle in ("slp-1", "slp-1", "slp-2"):
        with pytest.raises(CompletionError):
            ask(an_asker(bedroom, model, cycle=cycle))
    # Question and repair, for two cycles; the same cycle again (resumed) asks nothing.
    assert len(model.asked) == 4


def test_nothing_is_asked_while_a_client_is_served(bedroom: Bedroom) -> None:
    waits: list[float] = []
    model = PlayedModel(lambda _: GOOD)

    def pause(seconds: float) -> bool:
        waits.append(seconds)
        return False

    ask(an_asker(bedroom, model, busy=lambda: len(waits) < 6, pause=pause))
    assert sum(waits) > 0
    assert len(model.asked) == 1


def test_the_wait_for_silence_has_an_end(bedroom: Bedroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "BUSY_WAIT_MAX_S", 1.0)
    model = PlayedModel(lambda _: GOOD)
    asker = an_asker(bedroom, model, busy=lambda: True)
    with pytest.raises(UpstreamError, match="busy"):
        ask(asker)
    assert model.asked == []
    assert asker.away


def test_after_ollama_broke_off_nothing_more_is_asked(bedroom: Bedroom) -> None:
    model = Gone(lambda _: GOOD)
    asker = an_asker(bedroom, model)
    for _ in range(3):
        with pytest.raises(UpstreamError):
            ask(asker)
    assert len(model.asked) == 1


def test_a_halt_is_heard_before_the_question(bedroom: Bedroom) -> None:
    model = PlayedModel(lambda _: GOOD)
    with pytest.raises(Halted):
        ask(an_asker(bedroom, model, pause=lambda _seconds: True))
    assert model.asked == []
