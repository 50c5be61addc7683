"""What Ollama says of a model is asked once, and not knowing is said."""

from __future__ import annotations

import pytest

from ltmld.models.cards import CARDS_MAX, ModelCard, ModelCards
from ltmld.standin.server import running_standin

MODEL = "stand-in:latest"


async def test_a_card_holds_the_modelfiles_system_text_and_is_asked_for_once() -> None:
    with running_standin(system="You are brief.") as standin:
        cards = ModelCards(standin.url, timeout_s=5)
        first, second = await cards.card(MODEL), await cards.card(MODEL)
        assert first is not None
        assert first.system == "You are brief."
        assert second is first
        assert [request.path for request in standin.requests].count("/api/show") == 1
        cards.forget()
        await cards.card(MODEL)
        assert [request.path for request in standin.requests].count("/api/show") == 2
        await cards.close()


async def test_a_model_that_ollama_does_not_have_has_no_card() -> None:
    with running_standin() as standin:
        cards = ModelCards(standin.url, timeout_s=5)
        assert await cards.card("absent") is None
        await cards.close()


async def test_without_ollama_there_is_no_card() -> None:
    cards = ModelCards("http://127.0.0.1:9", timeout_s=1)
    assert await cards.card(MODEL) is None
    await cards.close()


async def test_in_ollamas_cloud_every_model_is_a_cloud_model_and_nobody_is_asked() -> None:
    cards = ModelCards("https://ollama.com:443", timeout_s=0.001)
    assert await cards.card("gpt-oss:120b") == ModelCard(cloud=True)
    await cards.close()


@pytest.mark.parametrize(
    ("card", "takes"),
    [
        (ModelCard(), True),
        (ModelCard(system="x"), True),
        (ModelCard(own_messages=True), False),
        (ModelCard(renderer="olmo3-think"), False),
    ],
)
def test_a_block_goes_into_the_system_text_only_where_nothing_is_lost(
    card: ModelCard, *, takes: bool
) -> None:
    assert card.takes_system is takes


async def test_as_many_cards_are_kept_as_may_be_and_no_more() -> None:
    names = [f"m{number}" for number in range(CARDS_MAX + 1)]
    with running_standin(models=tuple(f"{name}:latest" for name in names)) as standin:
        cards = ModelCards(standin.url, timeout_s=5)
        for name in names[:CARDS_MAX]:
            assert await cards.card(name) is not None
        assert len(cards._shelf) == CARDS_MAX
        assert await cards.card(names[CARDS_MAX]) is not None
        assert list(cards._shelf) == [names[CARDS_MAX]]
        await cards.close()
