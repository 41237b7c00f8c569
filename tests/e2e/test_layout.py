"""How the page lies: the pad's two layers agree, nothing sticks out, colours can be read."""

from __future__ import annotations

import random
import re

import pytest

from tests.e2e.conftest import OpenPage
from tests.e2e.contrast import faint_texts
from tests.e2e.fake_server import FakeServer
from tests.e2e.playground import expect

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK = {"viewport": {"width": 1440, "height": 900}}
WORDS = ["a", "miller", "who", "extraordinarily", "🐻", "水車", "fi", "Tȧ", "x" * 90]
SPACES = [" ", "  ", "\t", "\n", "\n\n"]

# The caret is where the letter is drawn only if both layers break their lines alike.
LAYERS = """
() => {
  const field = document.querySelector('.sheet .field');
  const drawn = document.querySelector('.sheet .drawn');
  field.style.height = '0';
  const heights = [field.scrollHeight, Math.ceil(drawn.getBoundingClientRect().height)];
  field.style.height = '';
  return [...heights, field.clientWidth, drawn.clientWidth];
}
"""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_both_layers_of_the_pad_break_their_lines_alike(
    open_page: OpenPage, fake: FakeServer, size: dict[str, object]
) -> None:
    page = open_page(fake.url, **size)
    chance = random.Random(7)
    for _ in range(60):
        words = chance.choices(WORDS, k=chance.randint(1, 80))
        page.write("".join(word + chance.choice(SPACES) for word in words))
        field, drawn, field_width, drawn_width = page.page.evaluate(LAYERS)

        assert field_width == drawn_width
        assert drawn == max(field, 56), repr(page.text)


@pytest.mark.parametrize("screen", ["write", "compare"])
def test_nothing_sticks_out_on_a_phone(open_page: OpenPage, fake: FakeServer, screen: str) -> None:
    page = open_page(f"{fake.url}/#/{screen}", **PHONE)
    expect(page.page.locator(".example, .column").first).to_be_visible()
    sticking = page.page.evaluate(
        "() => [...document.querySelectorAll('.top > *, .strip, .strip *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.className)"
    )

    assert sticking == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", ["write", "compare"])
def test_all_text_can_be_read(
    open_page: OpenPage, fake: FakeServer, screen: str, scheme: str
) -> None:
    fake.script.seconds_per_token = 0
    page = open_page(f"{fake.url}/#/write", color_scheme=scheme, **DESK)
    page.write("Once upon a time")
    page.generate()
    page.press("Branches")
    closed = page.page.locator(".rail details:not([open]) > summary:visible")
    while closed.count():
        closed.first.click()
    if screen == "compare":
        page.page.get_by_role("link", name="Compare").click()
        page.press("Compare")
        expect(page.page.locator(".column-status").first).to_contain_text(re.compile("length|end"))

    assert faint_texts(page) == []


def test_a_phone_opens_the_settings_as_a_sheet(open_page: OpenPage, fake: FakeServer) -> None:
    page = open_page(fake.url, **PHONE)
    strategy = page.page.get_by_label("Strategy")
    expect(strategy).to_be_hidden()
    page.press("Settings")
    expect(strategy).to_be_visible()
    page.press("Close settings")

    expect(strategy).to_be_hidden()
