"""Promise: a night learns what was said, loses nothing it could not read, and says plainly what it did."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from ltmld.core.memory import MemoryKind, MemoryState
from ltmld.core.ports import Completion, SleepRequest
from ltmld.core.proposal import Fade
from ltmld.errors import BadInputError, CompletionError, UpstreamError
from ltmld.sleep.report import NO_MODEL
from ltmld.sleep.stages import DEPTHS
from tests.support.nights import Bedroom, PlayedModel, WordEmbedder, an_item, careful

PLAIN = ("I live in Lisbon.", "How nice.", "thanks", "You are welcome!", "I'm allergic to peanuts.", "Noted.")


class Away(PlayedModel):
    """A model whose Ollama is not there."""

    def complete(self, **_question: object) -> Completion:
        raise UpstreamError("Ollama cannot be reached.")


def test_without_a_model_plain_statements_are_believed_and_the_report_says_so(bedroom: Bedroom) -> None:
    bedroom.talk(*PLAIN)
    report = bedroom.sleep()
    assert set(bedroom.believed()) == {"The user lives in Lisbon.", "The user is allergic to peanuts."}
    assert report["state"] == "completed"
    assert report["model"] == NO_MODEL
    assert any("No model was used" in sentence for sentence in report["warnings"])
    assert report["memories"]["learned"] == 2
    assert report["messages"]["gathered"] == 6
    assert report["messages"]["reasons"]["refuse"]["greeting or filler"] >= 1


def test_every_memory_has_the_message_and_the_words_it_came_from(bedroom: Bedroom) -> None:
    bedroom.talk(*PLAIN)
    bedroom.sleep()
    source = bedroom.believed()["The user lives in Lisbon."].sources[0]
    assert source.quote == "I live in Lisbon."
    assert bedroom.ledger.messages([source.message_id])[0].text == "I live in Lisbon."


def test_with_a_model_its_claims_are_believed_and_counted(bedroom: Bedroom) -> None:
    bedroom.talk("I collect old maps.", "Oh, which ones?", "I prefer sea charts.", "Lovely.")
    model = PlayedModel(careful)
    report = bedroom.sleep(model)
    assert "The user collect old maps." in bedroom.believed()
    assert (report["model"], report["model_calls"]["calls"]) == ("played:latest", 1)
    assert report["model_calls"]["prompt_tokens"] == 10
    json.dumps(report)


def test_a_night_with_nothing_new_changes_nothing(bedroom: Bedroom) -> None:
    bedroom.talk(*PLAIN)
    bedroom.sleep()
    before = bedroom.believed()
    report = bedroom.sleep()
    assert bedroom.believed() == before
    assert report["messages"]["gathered"] == 0


def test_what_is_said_again_on_another_day_is_reinforced(bedroom: Bedroom) -> None:
    bedroom.talk(*PLAIN)
    bedroom.sleep()
    before = bedroom.believed()["The user lives in Lisbon."]
    bedroom.clock.move(hours=20)
    bedroom.talk("Hello again!", "Hi", "I live in Lisbon.", "I know.")
    report = bedroom.sleep()
    after = bedroom.believed()["The user lives in Lisbon."]
    assert report["reinforced"] == ["The user lives in Lisbon."]
    assert (after.frequency, len(after.sources)) == (2, 2)
    assert after.strength > before.strength


def test_a_new_home_supersedes_the_old_one(bedroom: Bedroom) -> None:
    bedroom.talk("I live in Lisbon.", "Nice.")
    bedroom.sleep()
    bedroom.clock.move(days=3)
    bedroom.talk("I moved to Porto.", "Oh!")
    report = bedroom.sleep()
    assert set(bedroom.believed()) == {"The user lives in Porto."}
    assert report["superseded"] == ["The user lives in Lisbon. -> The user lives in Porto."]
    old, _ = bedroom.ledger.memories(state="superseded")
    assert old[0].valid_to == bedroom.believed()["The user lives in Porto."].valid_from


def test_an_episode_with_a_broken_answer_is_left_and_read_the_next_night(bedroom: Bedroom) -> None:
    bedroom.talk("I keep bees.", "Nice.")
    bedroom.clock.move(hours=5)
    bedroom.talk("I paint boats.", "Great.")
    broken = PlayedModel(lambda prompt: "sorry" if "bees" in prompt else careful(prompt))
    report = bedroom.sleep(broken)
    assert set(bedroom.believed()) == {"The user paint boats."}
    assert report["messages"]["left"] == 2
    assert (report["model_calls"]["failed"], report["state"]) == (1, "completed")
    assert any("waits for the next night" in sentence for sentence in report["warnings"])
    bedroom.sleep(PlayedModel(careful))
    assert set(bedroom.believed()) == {"The user paint boats.", "The user keep bees."}


def test_ollama_away_means_rules_tonight_and_the_model_another_night(bedroom: Bedroom) -> None:
    bedroom.talk("I live in Lisbon.", "Nice.", "I collect maps.", "Oh.")
    report = bedroom.sleep(Away(careful))
    assert set(bedroom.believed()) == {"The user lives in Lisbon."}
    assert report["model"] == NO_MODEL
    assert any("cannot be reached" in sentence for sentence in report["warnings"])
    # A second such night finds the same words again, and believes them no more firmly.
    bedroom.sleep(Away(careful))
    assert bedroom.believed()["The user lives in Lisbon."].frequency == 1
    bedroom.sleep(PlayedModel(careful))
    assert "The user collect maps." in bedroom.believed()


def test_ollama_gone_half_way_leaves_the_rest(bedroom: Bedroom) -> None:
    class Leaving(PlayedModel):
        def complete(self, **question: object) -> Completion:
            if self.asked:
                raise UpstreamError("Ollama went away.")
            return super().complete(**question)  # type: ignore[arg-type] # passed on as it came

    bedroom.talk("I keep bees.", "Nice.")
    bedroom.clock.move(hours=5)
    bedroom.talk("I paint boats.", "Great.")
    report = bedroom.sleep(Leaving(careful))
    assert set(bedroom.believed()) == {"The user keep bees."}
    assert report["messages"]["left"] == 2


def test_an_invented_memory_is_refused_and_shown(bedroom: Bedroom) -> None:
    bedroom.talk("I keep bees.", "Nice.")
    lie = json.dumps({"memories": [an_item("The user's name is John Doe.", "My name is John Doe")]})
    report = bedroom.sleep(PlayedModel(lambda _: lie))
    assert bedroom.believed() == {}
    assert report["refused"] == ["quote was not said: The user's name is John Doe."]


def test_what_a_person_had_forgotten_is_not_learned_again(bedroom: Bedroom) -> None:
    bedroom.talk("I live in Lisbon.", "Nice.")
    bedroom.sleep()
    bedroom.ledger.forget(bedroom.believed()["The user lives in Lisbon."].id, hard=False, cause="person")
    bedroom.clock.move(days=1)
    bedroom.talk("I live in Lisbon.", "I know.")
    report = bedroom.sleep()
    assert bedroom.believed() == {}
    assert report["memories"]["refused"] == 1


def test_a_dry_run_shows_what_would_be_learned_and_writes_nothing(bedroom: Bedroom) -> None:
    bedroom.talk("I live in Lisbon.", "Nice.")
    bedroom.clock.move(days=1)
    bedroom.talk("I moved to Porto.", "Oh!")
    counts = bedroom.ledger.counts()
    dry = bedroom.sleep(dry_run=True)
    assert dry["learned"] == ["The user lives in Lisbon.", "The user lives in Porto."]
    assert dry["memories"]["superseded"] == 1
    assert bedroom.ledger.counts() == counts
    assert len(bedroom.ledger.ungathered("default")) == 4
    assert bedroom.ledger.checkpoint(dry["id"]) is None
    wet = bedroom.sleep()
    assert (wet["learned"], wet["memories"]) == (dry["learned"], dry["memories"])


def test_a_nap_disposes_of_filler_and_leaves_the_rest_for_the_night(bedroom: Bedroom) -> None:
    bedroom.talk(*PLAIN)
    model = PlayedModel(careful)
    report = bedroom.sleep(model, depth="nap")
    assert model.asked == []
    assert [stage["stage"] for stage in report["stages"]] == list(DEPTHS["nap"])
    left = {message.text for message in bedroom.ledger.ungathered("default")}
    assert "thanks" not in left
    assert {"I live in Lisbon.", "I'm allergic to peanuts."} <= left
    bedroom.sleep()
    assert "The user lives in Lisbon." in bedroom.believed()


def test_every_scope_is_slept_through_and_none_sees_another(bedroom: Bedroom) -> None:
    bedroom.talk("I live in Lisbon.", "Nice.", scope="ana")
    bedroom.talk("I live in Lisbon.", "Nice.", scope="ben")
    report = bedroom.sleep()
    assert report["scopes"] == ["ana", "ben"]
    for scope in ("ana", "ben"):
        assert bedroom.believed(scope)["The user lives in Lisbon."].frequency == 1
    assert bedroom.sleep(scope="ana")["scopes"] == ["ana"]


def test_a_dry_run_over_scopes_says_what_the_real_night_does(bedroom: Bedroom) -> None:
    for scope in ("anna", "bert"):
        bedroom.talk("I live in Lisbon.", "Nice.", scope=scope)
        bedroom.talk("I work as a nurse.", "Good.", scope=scope)
    dry = bedroom.sleep(dry_run=True)
    assert dry["memories"] == bedroom.sleep()["memories"]
    assert dry["memories"]["learned"] == 4


def test_lessons_are_drawn_from_what_belongs_together_once(bedroom: Bedroom) -> None:
    bedroom.embedder = WordEmbedder()
    for day, thing in enumerate(["bowls", "cups", "plates", "vases", "jugs"]):
        bedroom.talk(f"I make pottery {thing} at home.", "Nice.", start=bedroom.clock() + timedelta(days=day))
    for day, place in enumerate(["forest", "desert", "city", "harbor", "hill"]):
        bedroom.talk(
            f"I run races in the {place} region.", "Nice.", start=bedroom.clock() + timedelta(days=9 + day)
        )
    model = PlayedModel(careful)
    report = bedroom.sleep(model)
    lessons = [
        memory for memory in bedroom.ledger.all_memories("default") if memory.kind is MemoryKind.LESSON
    ]
    assert report["memories"]["lessons"] == len(lessons) >= 1
    assert all(len(memory.sources) >= 3 for memory in lessons)
    bedroom.clock.move(hours=1)
    bedroom.talk("I keep bees.", "Nice.", start=bedroom.clock() + timedelta(days=30))
    assert bedroom.sleep(model)["memories"]["lessons"] == 0


def test_time_weakens_what_is_not_used(bedroom: Bedroom) -> None:
    bedroom.talk("I live in Lisbon.", "Nice.")
    bedroom.sleep()
    bedroom.clock.move(days=10)
    assert bedroom.sleep()["memories"]["weakened"] == 1
    weaker = bedroom.believed()["The user lives in Lisbon."].strength
    assert weaker < 1.0
    bedroom.clock.move(hours=3)
    bedroom.sleep()
    assert bedroom.believed()["The user lives in Lisbon."].strength == weaker
    bedroom.clock.move(days=4000)
    report = bedroom.sleep()
    assert report["faded"] == ["The user lives in Lisbon."]
    assert bedroom.ledger.memories()[0][0].state is MemoryState.FADED


def test_a_stage_that_raises_ends_the_night_as_failed_and_loses_nothing(bedroom: Bedroom) -> None:
    class Torn(PlayedModel):
        def complete(self, **_question: object) -> Completion:
            raise ZeroDivisionError("a bug")

    bedroom.talk(*PLAIN)
    report = bedroom.sleep(Torn(careful))
    assert (report["state"], report["error"]) == ("failed", "ZeroDivisionError: a bug")
    assert bedroom.ledger.cycle(report["id"])["state"] == "failed"
    assert len(bedroom.ledger.ungathered("default")) == len(PLAIN)
    assert bedroom.sleep()["memories"]["learned"] == 2


def test_a_model_call_that_fails_costs_its_episode_only(bedroom: Bedroom) -> None:
    class Slow(PlayedModel):
        def complete(self, **question: object) -> Completion:
            if "bees" in str(question):
                raise CompletionError("took too long")
            return super().complete(**question)  # type: ignore[arg-type] # passed on as it came

    bedroom.talk("I keep bees.", "Nice.")
    bedroom.clock.move(hours=5)
    bedroom.talk("I paint boats.", "Great.")
    report = bedroom.sleep(Slow(careful))
    assert report["state"] == "completed"
    assert set(bedroom.believed()) == {"The user paint boats."}


def test_a_busy_client_is_waited_for_and_progress_is_told(bedroom: Bedroom) -> None:
    bedroom.talk("I keep bees.", "Nice.")
    looks = iter([True, True])
    bedroom.busy = lambda: next(looks, False)
    bedroom.sleep(PlayedModel(careful))
    assert bedroom.believed()
    assert [step.stage for step in bedroom.progress if step.done == step.total] == list(DEPTHS["light"])


def test_a_halted_night_can_be_resumed(bedroom: Bedroom) -> None:
    bedroom.talk("I keep bees.", "Nice.")
    model = PlayedModel(careful)
    cycle = bedroom.cycle(model)
    cycle.halt()
    from ltmld.core.ports import SleepRequest  # noqa: PLC0415 - the only test that builds its own cycle

    report = cycle.run(SleepRequest())
    assert report["state"] == "interrupted"
    unfinished = bedroom.ledger.unfinished_cycle()
    assert unfinished is not None
    assert bedroom.sleep(model, cycle_id=unfinished["id"])["state"] == "completed"
    assert bedroom.believed()


def test_an_unknown_depth_is_refused_and_a_deep_sleep_says_that_it_is_light(bedroom: Bedroom) -> None:
    with pytest.raises(BadInputError, match="nap, light, deep"):
        bedroom.sleep(depth="coma")
    assert any("light one for now" in sentence for sentence in bedroom.sleep(depth="deep")["warnings"])


def test_an_empty_ledger_is_slept_through(bedroom: Bedroom) -> None:
    assert bedroom.sleep()["state"] == "completed"


def test_a_report_of_a_huge_night_stays_small(tmp_path: Path) -> None:
    room = Bedroom(tmp_path)
    for number in range(120):
        room.talk(f"I love plant number {number}.", "Nice.", start=room.clock() + timedelta(hours=number))
    report = room.sleep()
    assert report["memories"]["learned"] == 120
    assert len(report["learned"]) == 50
    room.close()


def test_what_fails_after_the_word_to_stop_leaves_the_cycle_to_be_resumed(bedroom: Bedroom) -> None:
    bedroom.talk("I live in Lisbon.", "Nice.")
    model = PlayedModel(careful)
    cycle = bedroom.cycle(model)

    def house_closes() -> bool:
        cycle.halt()
        raise RuntimeError("the index was closed under the cycle")

    bedroom.busy = house_closes
    assert cycle.run(SleepRequest())["state"] == "interrupted"
    left = bedroom.ledger.unfinished_cycle()
    assert left is not None
    bedroom.busy = lambda: False
    assert bedroom.sleep(model, cycle_id=left["id"])["state"] == "completed"
    assert bedroom.believed()


def test_what_has_faded_and_is_said_again_is_brought_back_and_not_doubled(bedroom: Bedroom) -> None:
    bedroom.talk("I collect old maps.", "Nice.")
    bedroom.sleep(PlayedModel(careful))
    (known,) = bedroom.believed().values()
    cycle_id = bedroom.ledger.begin_cycle(scope="", depth="nap", trigger="test", model="", dry_run=False)
    bedroom.ledger.apply(
        cycle_id, "decay:default", [Fade(memory_id=known.id, strength=0.01, why="unused")], {}
    )
    bedroom.ledger.end_cycle(cycle_id, state="completed", report={})
    assert bedroom.believed() == {}
    bedroom.clock.move(days=400)
    bedroom.talk("I collect old maps.", "Still?")
    report = bedroom.sleep(PlayedModel(careful))
    assert (report["memories"]["learned"], report["reinforced"]) == (0, [known.text])
    (revived,) = bedroom.ledger.memories(limit=9)[0]
    assert (revived.id, revived.state, revived.frequency) == (known.id, MemoryState.ACTIVE, 2)
    assert revived.strength > known.strength / 2
