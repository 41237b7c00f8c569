"""The history on the page: found again, opened, taken along, deleted; with the real routes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.settings import Settings
from tests.api.real_server import serving
from tests.e2e.conftest import OpenPage
from tests.e2e.contrast import faint_texts
from tests.e2e.playground import Locator, Playground, expect
from tests.fakes import FakeModels

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
HERON = "The grey heron stood"
WOLF = "The wolf ran"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server of this machine, without any account and with an empty history."""
    with serving(Settings(data_dir=tmp_path), FakeModels()) as url:
        yield url


def generate(url: str, *prompts: str) -> None:
    for prompt in prompts:
        body = {"prompt": prompt, "strategy": "top_k", "top_k": 7, "max_new_tokens": 5, "seed": 3}
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(f"{url}/generate", json.dumps(body).encode(), headers)
        urllib.request.urlopen(asked, timeout=60).close()


def opened(open_page: OpenPage, url: str, **options: object) -> Playground:
    return open_page(f"{url}/#/history", **options)


def kept(page: Playground) -> Locator:
    return page.page.get_by_label("What was generated").get_by_role("listitem")


def search(page: Playground) -> Locator:
    return page.page.get_by_label("Search the history")


def test_what_was_generated_is_found_by_its_words(open_page: OpenPage, server: str) -> None:
    generate(server, HERON, WOLF)
    page = opened(open_page, server)
    expect(kept(page)).to_have_count(2)
    expect(kept(page).first).to_contain_text(WOLF)
    expect(kept(page).first).to_contain_text("Top-k sampling")
    expect(kept(page).first).to_contain_text("5 tokens")

    search(page).fill("heron grey")
    expect(kept(page)).to_have_count(1)
    expect(kept(page)).to_contain_text(HERON)
    expect(page.status).to_have_text("1 found")
    search(page).fill("pelican")
    expect(page.page.get_by_text("Nothing here has all these words: pelican.")).to_be_visible()
    page.press("Show everything")
    expect(kept(page)).to_have_count(2)


def test_one_opens_in_write_with_its_settings_and_undo_goes_back(
    open_page: OpenPage, server: str
) -> None:
    generate(server, HERON)
    page = open_page(server)
    page.write("My own text")
    page.page.get_by_role("link", name="History").click()
    page.press("Open in Write")

    expect(page.page.locator(".prompt")).to_have_text(HERON)
    expect(page.page.locator(".continuation")).not_to_be_empty()
    expect(page.page.get_by_label("Strategy")).to_have_value("top_k")
    expect(page.page.get_by_role("textbox", name="Top-k", exact=True)).to_have_value("7")
    page.press("Code")
    expect(page.page.locator(".code-block pre")).to_contain_text('"seed": 3')
    page.page.keyboard.press("Escape")
    page.press("Undo")
    expect(page.pad).to_have_value("My own text")


def test_deleting_asks_first_and_deletes_for_good(open_page: OpenPage, server: str) -> None:
    generate(server, HERON, WOLF)
    page = opened(open_page, server)
    heron = kept(page).filter(has_text=HERON)
    heron.get_by_role("button", name="Delete").click()
    heron.get_by_role("button", name="Keep").click()
    expect(kept(page)).to_have_count(2)
    heron.get_by_role("button", name="Delete").click()
    heron.get_by_role("button", name="Delete for good").click()
    expect(kept(page)).to_have_count(1)
    page.page.reload()
    expect(kept(page)).to_have_count(1)

    page.press("Delete all")
    page.press("Delete all for good")
    expect(page.page.get_by_role("heading", name="Nothing is kept yet")).to_be_visible()
    expect(kept(page)).to_have_count(0)


def test_all_of_it_is_taken_along_as_a_file(open_page: OpenPage, server: str) -> None:
    generate(server, HERON, WOLF)
    page = opened(open_page, server)
    with page.page.expect_download() as download:
        page.page.get_by_role("link", name="Export").click()

    lines = download.value.path().read_text().splitlines()
    assert [json.loads(line)["prompt"] for line in lines] == [HERON, WOLF]


def test_more_than_a_page_is_there_on_request(open_page: OpenPage, server: str) -> None:
    generate(server, *(f"Story {number} begins" for number in range(23)))
    page = opened(open_page, server)
    expect(kept(page)).to_have_count(20)
    expect(page.status).to_have_text("the newest 20")
    page.press("Show more")

    expect(kept(page)).to_have_count(23)
    expect(kept(page).last).to_contain_text("Story 0 begins")
    expect(page.button("Show more")).to_be_hidden()


def test_a_server_that_does_not_answer_is_told_and_tried_again(
    open_page: OpenPage, server: str
) -> None:
    generate(server, HERON)
    page = open_page(server)
    page.page.route("**/history?*", lambda route: route.abort())
    page.page.get_by_role("link", name="History").click()
    expect(page.page.get_by_role("alert")).to_contain_text("No answer from")
    page.page.unroute("**/history?*")
    page.press("Try again")

    expect(kept(page)).to_have_count(1)
    expect(page.page.get_by_role("alert")).to_have_count(0)


def test_the_history_is_used_from_the_keyboard(open_page: OpenPage, server: str) -> None:
    generate(server, HERON, WOLF)
    page = open_page(server)
    keyboard = page.page.keyboard
    keyboard.press("Alt+3")
    expect(kept(page)).to_have_count(2)
    keyboard.press("/")
    expect(search(page)).to_be_focused()
    keyboard.type("wolf")
    expect(kept(page)).to_have_count(1)
    for _ in range(2):  # past Export
        keyboard.press("Tab")
    keyboard.press("Enter")

    expect(page.page.locator(".prompt")).to_have_text(WOLF)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(open_page: OpenPage, server: str, scheme: str) -> None:
    generate(server, HERON)
    page = opened(open_page, server, color_scheme=scheme)
    kept(page).get_by_role("button", name="Delete").click()

    assert faint_texts(page) == []


def test_nothing_sticks_out_on_a_phone(open_page: OpenPage, server: str) -> None:
    generate(server, "x" * 200, HERON)
    page = opened(open_page, server, **PHONE)
    expect(kept(page)).to_have_count(2)
    sticking = page.page.evaluate(
        "() => [...document.querySelectorAll('.top > *, .history *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.className)"
    )

    assert sticking == []
