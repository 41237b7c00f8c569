"""Adapters on the page: chosen beside the settings, and not in the way where there are none."""

from __future__ import annotations

from tests.e2e.conftest import OpenPage
from tests.e2e.fake_server import FakeServer
from tests.e2e.playground import Playground, expect

MODEL = "penstock-tiny"
ADAPTERS = [
    {"name": "pirate", "error": None, "models": [MODEL]},
    {"name": "for-any-model", "error": None, "models": None},
    {"name": "for-another", "error": None, "models": ["gpt2"]},
    {"name": "broken", "error": "It is more than a LoRA.", "models": [MODEL]},
]


def open_with_adapters(fake: FakeServer, open_page: OpenPage) -> Playground:
    fake.catalog["adapters"] = {"adapters": ADAPTERS}
    fake.script.seconds_per_token = 0.001
    return open_page(fake.url)


def test_the_chosen_adapter_writes_and_none_does_again(
    fake: FakeServer, open_page: OpenPage
) -> None:
    page = open_with_adapters(fake, open_page)
    picker = page.page.get_by_label("Adapter", exact=True)
    expect(picker.locator("option")).to_have_text(["none", "pirate", "for-any-model"])
    page.write("Once upon a time")

    page.generate()
    picker.select_option("pirate")
    page.generate()
    page.press("Reset Adapter")
    page.generate()

    assert [request.get("adapter") for request in page.requests] == [None, "pirate", None]


def test_the_choice_outlasts_a_reload(fake: FakeServer, open_page: OpenPage) -> None:
    page = open_with_adapters(fake, open_page)
    page.write("Once upon a time")
    page.page.get_by_label("Adapter", exact=True).select_option("pirate")

    page.page.reload()

    expect(page.page.get_by_label("Adapter", exact=True)).to_have_value("pirate")


def test_columns_of_a_comparison_choose_each_for_itself(
    fake: FakeServer, open_page: OpenPage
) -> None:
    page = open_with_adapters(fake, open_page)
    page.write("Once upon a time")
    page.page.get_by_role("link", name="Compare").click()
    page.columns.nth(1).get_by_label("Adapter").select_option("pirate")

    page.press("Compare")
    expect(page.button("Stop all")).to_be_hidden()

    asked = [column.get("adapter") for column in page.requests[-1]["columns"]]
    assert asked == [None, "pirate", None, None]


def test_a_model_without_adapters_has_no_picker(fake: FakeServer, open_page: OpenPage) -> None:
    page = open_with_adapters(fake, open_page)
    fake.catalog["adapters"] = {"adapters": ADAPTERS[2:]}

    page.page.reload()

    expect(page.page.get_by_role("textbox", name="Temperature")).to_be_visible()
    expect(page.page.get_by_label("Adapter", exact=True)).to_have_count(0)
    page.page.get_by_role("link", name="Compare").click()
    expect(page.columns.first).to_be_visible()
    expect(page.page.get_by_label("Adapter", exact=True)).to_have_count(0)
