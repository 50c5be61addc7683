"""A person in a browser: one conversation with a regenerate and an edit, then a new chat; prints what was seen.

Runs in the environment of Open WebUI (it needs Playwright); its arguments are the address of the page, the browser,
and a folder for pictures.
"""

from __future__ import annotations

import json
import sys

from playwright.sync_api import Locator, Page, expect, sync_playwright

PATIENCE_MS = 60_000
DOG = "Hello, my name is Ada and my dog is called Biscuit."
EDITED = "Hello, my name is Ada and my dog is called Waffle."
QUESTION = "What is my dog called?"
NEW_CHAT = "New conversation: what is the name of my dog?"


def main(url: str, browser: str, pictures: str) -> None:
    """Play the session; write a picture of each step into the folder *pictures*."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.goto(url, wait_until="domcontentloaded")
        _past_the_news(page)
        seen: dict[str, object] = {"models": _models(page)}
        for step in (_first, _second, _regenerate, _edit, _new_chat):
            seen[step.__name__.removeprefix("_")] = step(page)
            page.screenshot(path=f"{pictures}/{step.__name__.removeprefix('_')}.png")
        seen["page"] = page.content()
        chromium.close()
    sys.stdout.write(json.dumps(seen))


def _past_the_news(page: Page) -> None:
    """Close what Open WebUI shows at the first visit."""
    news = page.get_by_role("button", name="Okay, Let's Go!")
    expect(page.locator("#chat-input")).to_be_visible()
    if news.is_visible():
        news.click()
        expect(news).to_be_hidden()


def _models(page: Page) -> list[str]:
    page.get_by_role("button", name="Selected model").click()
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    names = [option.inner_text().strip().splitlines()[0] for option in options.all()]
    page.keyboard.press("Escape")
    return names


def _first(page: Page) -> list[str]:
    return _said(page, DOG, answers=1)


def _second(page: Page) -> list[str]:
    return _said(page, QUESTION, answers=2)


def _regenerate(page: Page) -> list[str]:
    page.get_by_role("button", name="Regenerate").last.click()
    # Open WebUI asks how: the plain way is one of the choices, in the versions that ask.
    again = page.get_by_role("menuitem", name="Try Again").or_(page.get_by_text("Try Again", exact=True))
    if again.first.is_visible(timeout=2_000):
        again.first.click()
    expect(page.get_by_text("2/2").first).to_be_visible()
    return _answers(page, count=2)


def _edit(page: Page) -> list[str]:
    question = page.locator(".chat-user").first
    question.hover()
    page.locator("div.user-message, .user-message").first.get_by_role("button", name="Edit").click()
    box = page.locator("textarea[id^='message-edit']")
    box.fill(EDITED)
    page.get_by_role("button", name="Send", exact=True).first.click()
    expect(page.locator(".chat-user")).to_have_count(1)
    return _answers(page, count=1)


def _new_chat(page: Page) -> list[str]:
    # The button itself is in a sidebar that may be folded; its address is what it opens.
    page.goto(page.url.partition("/c/")[0], wait_until="domcontentloaded")
    expect(page.locator(".chat-user")).to_have_count(0)
    return _said(page, NEW_CHAT, answers=1)


def _said(page: Page, words: str, *, answers: int) -> list[str]:
    page.locator("#chat-input").click()
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    return _answers(page, count=answers)


def _answers(page: Page, *, count: int) -> list[str]:
    answers: Locator = page.locator(".chat-assistant")
    expect(answers).to_have_count(count)
    # This button gives way to one that stops the answer, until the answer is whole.
    expect(page.get_by_role("button", name="Voice mode")).to_be_visible()
    expect(answers.last).not_to_be_empty()
    texts: list[str] = answers.all_inner_texts()
    return texts


if __name__ == "__main__":
    main(*sys.argv[1:])
