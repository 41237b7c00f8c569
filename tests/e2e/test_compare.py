"""Comparing strategies side by side, with the real server and the built-in model."""

from __future__ import annotations

from tests.e2e.conftest import OpenPage
from tests.e2e.fake_server import FakeServer
from tests.e2e.playground import Playground, expect

PROMPT = "Once upon a time there was a miller who"


def compare(open_page: OpenPage, server: str, length: int) -> Playground:
    page = open_page(server)
    page.set_length(length)
    page.write(PROMPT)
    page.page.get_by_role("link", name="Compare").click()
    expect(page.compare_prompt).to_have_value(PROMPT)
    expect(page.columns).to_have_count(4)
    return page


def test_four_strategies_write_at_once_from_one_request(open_page: OpenPage, server: str) -> None:
    page = compare(open_page, server, 20)
    page.press("Compare")
    expect(page.button("Compare")).to_be_visible()

    assert len(page.requests) == 1
    strategies = [column["strategy"] for column in page.requests[0]["columns"]]
    assert sorted(strategies) == ["beam_search", "greedy", "sampling", "top_k"]
    for text in page.page.locator(".column-text").all_text_contents():
        assert text.strip() != ""
    expect(page.page.locator(".column .bars")).to_have_count(4)
    assert all("20 tok" in bars for bars in page.page.locator(".bars").all_text_contents())


def test_stop_all_stops_every_column(open_page: OpenPage, fake: FakeServer) -> None:
    fake.script.text = " word" * 400
    page = compare(open_page, fake.url, 400)
    page.press("Compare")
    expect(page.page.locator(".column-text").first).not_to_be_empty()
    page.press("Stop all")
    expect(page.page.locator(".column-status").first).to_contain_text("Stopped")
    texts = page.page.locator(".column-text").all_text_contents()
    page.page.wait_for_timeout(700)

    assert page.page.locator(".column-text").all_text_contents() == texts


def test_a_text_goes_to_write_and_a_reload_keeps_the_comparison(
    open_page: OpenPage, server: str
) -> None:
    page = compare(open_page, server, 20)
    page.press("Compare")
    expect(page.button("Compare")).to_be_visible()
    page.page.reload()
    expect(page.columns).to_have_count(4)
    chosen = page.columns.nth(2)
    text = chosen.locator(".column-text").text_content() or ""
    chosen.get_by_role("button", name="Send to Write").click()

    assert page.text.startswith(PROMPT)
    assert page.text.endswith(text)
    page.press("Undo")
    assert page.text == PROMPT


def test_columns_come_and_go_and_hide_their_names(open_page: OpenPage, server: str) -> None:
    page = compare(open_page, server, 20)
    page.columns.first.get_by_role("button", name="Duplicate this column").click()
    expect(page.columns).to_have_count(5)
    page.columns.last.get_by_role("button", name="Remove this column").click()
    expect(page.columns).to_have_count(4)
    page.press("Hide names")

    expect(page.page.locator(".column-letter")).to_have_text(["A", "B", "C", "D"])
    assert page.columns.get_by_label("Strategy").count() == 0
    page.press("Show names")
    expect(page.columns.get_by_label("Strategy")).to_have_count(4)
