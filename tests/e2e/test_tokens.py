"""The card of a token: what else there was, and that what is clicked is what is written."""

from __future__ import annotations

import re

import pytest

from tests.e2e.conftest import OpenPage
from tests.e2e.fake_server import FakeServer
from tests.e2e.fake_tokens import OTHERS
from tests.e2e.playground import Locator, Playground, expect

PROMPT = "Once upon a time there was a miller who"
MANY_LINES = "A line.\n" * 17
STORY = " had" * 30


class Tokens:
    """The tokens of the text on the page, and the card of one."""

    def __init__(self, page: Playground) -> None:
        self._page = page
        page.press("Tokens")
        self.all = page.page.locator(".token")
        self.card = page.page.locator(".token-card")
        self.steps = self.card.locator(".waterfall tbody th")
        expect(self.all.first).to_be_visible()

    def point_at(self, number: int) -> None:
        """Rest the mouse on the first letter of a token, wherever its line breaks."""
        x, y = self._place(number)
        self._page.page.mouse.move(x, y)
        expect(self.all.nth(number)).to_have_attribute("data-pointed-at", "true")
        expect(self.card).to_be_visible()

    def pass_over(self, number: int) -> None:
        self._page.page.mouse.move(*self._place(number))

    def click_at(self, number: int) -> None:
        self._page.page.mouse.click(*self._place(number))

    def other(self) -> Locator:
        return self.card.locator(".alternative:not([aria-current=true]):enabled").nth(2)

    def _place(self, number: int) -> tuple[float, float]:
        place = self.all.nth(number).evaluate(
            """token => {
              const letter = document.createRange();
              const start = Math.min(1, token.textContent.length - 1);  // past a space
              letter.setStart(token.firstChild, start);
              letter.setEnd(token.firstChild, start + 1);
              const box = letter.getBoundingClientRect();
              return [box.left + 1, box.top + box.height / 2];
            }"""
        )
        return place[0], place[1]


def place_of(element: Locator) -> dict[str, float] | None:
    return element.bounding_box()


def written(open_page: OpenPage, fake: FakeServer, prompt: str = PROMPT) -> Playground:
    fake.script.text = STORY
    fake.script.seconds_per_token = 0
    page = open_page(fake.url)
    page.write(prompt)
    page.generate()
    return page


def test_a_token_tells_what_else_there_was_and_another_is_written_instead(page: Playground) -> None:
    page.set_length(12)
    page.write(PROMPT)
    whole = page.generate()
    tokens = Tokens(page)
    texts = tokens.all.all_text_contents()
    number = next(i for i, text in enumerate(texts) if i >= 3 and text.strip().isalpha())
    before = PROMPT + "".join(texts[:number])
    assert whole.startswith(before)
    tokens.point_at(number)
    expect(tokens.card.locator(".alternative")).not_to_have_count(0)
    assert tokens.card.locator(".alternative").count() >= 8
    expect(tokens.steps).to_have_text(["Model", "Temperature", "Top-p"])

    instead = tokens.other().locator("code").inner_text().replace("␣", " ").replace("⏎", "\n")
    tokens.other().click()

    expect(page.pad).to_have_value(re.compile(re.escape(before + instead)))
    page.await_end()
    assert page.requests[-1]["prompt"] == before + instead
    assert page.text.startswith(before + instead)
    expect(tokens.card).to_be_hidden()
    page.press("Undo")
    expect(page.pad).to_have_value(whole)


@pytest.mark.parametrize("prompt", [PROMPT, MANY_LINES + PROMPT], ids=["below", "above"])
def test_what_is_about_to_be_clicked_stays_where_it_is_when_the_steps_arrive(
    open_page: OpenPage, fake: FakeServer, prompt: str, request: pytest.FixtureRequest
) -> None:
    page = written(open_page, fake, prompt)
    fake.script.may_look.clear()
    tokens = Tokens(page)
    tokens.point_at(3)
    side = request.node.callspec.id
    expect(tokens.card).to_have_attribute("data-side", side)
    aim = tokens.other()
    box = aim.bounding_box()
    assert box is not None
    page.page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2)
    page.page.mouse.down()

    fake.script.may_look.set()
    expect(tokens.steps).to_have_text(["Model", "Temperature", "Top-p"])

    assert aim.bounding_box() == box
    page.page.mouse.up()
    page.await_end()
    assert page.requests[-1]["prompt"] == prompt + " had" * 3 + OTHERS[2]


def test_tokens_that_the_mouse_passes_on_its_way_to_the_card_leave_it_alone(
    open_page: OpenPage, fake: FakeServer
) -> None:
    page = written(open_page, fake)
    tokens = Tokens(page)
    tokens.point_at(5)
    aim = tokens.other()
    for passed in (6, 7, 8):
        tokens.pass_over(passed)
    aim.click()

    page.await_end()
    assert page.requests[-1]["prompt"] == PROMPT + " had" * 5 + OTHERS[2]


def test_a_click_on_the_first_letter_of_a_token_is_about_that_token(
    open_page: OpenPage, fake: FakeServer
) -> None:
    """The caret lands beside the letter, where the token before it ends."""
    page = written(open_page, fake)
    tokens = Tokens(page)
    for number in (4, 6, 3):
        tokens.click_at(number)
        expect(tokens.all.nth(number)).to_have_attribute("data-pointed-at", "true")


def test_the_keyboard_moves_through_tokens_and_chooses(
    open_page: OpenPage, fake: FakeServer
) -> None:
    page = written(open_page, fake)
    tokens = Tokens(page)
    page.pad.press("Control+End")
    expect(tokens.all.nth(29)).to_have_attribute("data-pointed-at", "true")
    for _ in range(4):
        page.pad.press("ArrowLeft")
    expect(tokens.all.nth(28)).to_have_attribute("data-pointed-at", "true")
    tokens.other().focus()
    page.page.keyboard.press("Enter")
    page.await_end()

    assert page.requests[-1]["prompt"] == PROMPT + " had" * 28 + OTHERS[2]
    expect(page.pad).to_be_focused()


def test_a_card_does_not_outlive_the_text_that_it_is_about(
    open_page: OpenPage, fake: FakeServer
) -> None:
    page = written(open_page, fake)
    tokens = Tokens(page)
    tokens.point_at(5)
    page.pad.press("Control+z")
    expect(page.pad).to_have_value(PROMPT)

    expect(tokens.card).to_be_hidden()
    page.pad.press("Control+Shift+z")
    expect(tokens.all).to_have_count(30)
    expect(tokens.card).to_be_hidden()
