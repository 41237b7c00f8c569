"""Writing on the pad, with the real server and the built-in model."""

from __future__ import annotations

from tests.e2e.conftest import OpenPage
from tests.e2e.playground import Playground, expect

PROMPT = "Once upon a time there was a miller who"


def test_a_prompt_goes_on_as_text_with_its_figures(page: Playground) -> None:
    page.set_length(24)
    page.write(PROMPT)
    text = page.generate()

    assert text.startswith(PROMPT)
    assert len(text) > len(PROMPT)
    metrics = page.page.locator(".metrics")
    expect(metrics).to_contain_text("tok/s")
    expect(metrics).to_contain_text("first")
    assert page.page.locator(".prompt").text_content() == PROMPT
    assert page.page.locator(".continuation").text_content() == text.removeprefix(PROMPT)


def test_stop_in_the_middle_keeps_what_has_arrived(slow_page: Playground) -> None:
    page = slow_page
    page.set_length(400)
    page.write(PROMPT)
    page.press("Generate")
    page.await_text_after(PROMPT)
    page.press("Stop")
    expect(page.status).to_contain_text("Stopped")
    text = page.text
    page.page.wait_for_timeout(700)

    assert page.text == text
    assert len(text) > len(PROMPT)


def test_escape_stops_the_real_model(page: Playground) -> None:
    page.set_length(480)
    for _ in range(10):  # it writes so fast, and ends where it likes, that a try may come too late
        page.write(PROMPT)
        page.press("Generate")
        page.await_text_after(PROMPT)
        page.page.keyboard.press("Escape")
        page.await_end()
        if "Stopped" in page.status.inner_text():
            break

    expect(page.status).to_contain_text("Stopped")
    assert len(page.text) > len(PROMPT)


def test_undo_again_and_redo_walk_a_tree_that_forgets_nothing(page: Playground) -> None:
    page.set_length(20)
    page.write(PROMPT)
    first = page.generate()
    page.press("Again")
    page.await_text_after(PROMPT)
    page.await_end()
    second = page.text
    page.press("Undo")
    assert page.text == PROMPT
    page.press("Redo")
    assert page.text == second

    page.press("Branches")
    branches = page.page.get_by_label("Branches").locator(".branch")
    expect(branches).to_have_count(3)
    branches.nth(1).click()

    assert page.text == first


def test_an_edit_makes_all_of_the_text_the_next_prompt(page: Playground) -> None:
    page.set_length(20)
    page.write(PROMPT)
    page.generate()
    page.pad.press("Control+End")
    page.pad.press_sequentially(" And then")
    assert page.page.locator(".continuation").text_content() == ""
    edited = page.text
    page.generate()

    assert page.requests[-1]["prompt"] == edited


def test_the_chosen_strategy_and_settings_are_what_is_sent(page: Playground) -> None:
    page.choose_strategy("Beam search")
    page.page.get_by_role("textbox", name="Beams", exact=True).fill("3")
    page.set_length(20)
    page.write(PROMPT)
    page.generate()

    sent = page.requests[-1]
    assert (sent["strategy"], sent["num_beams"], sent["max_new_tokens"]) == ("beam_search", 3, 20)
    assert "temperature" not in sent


def test_a_changed_setting_is_marked_and_goes_back_to_its_default(page: Playground) -> None:
    parameter = page.page.locator(".rail [data-parameter=temperature]")
    parameter.get_by_role("slider").press("ArrowRight")
    expect(parameter).to_have_attribute("data-changed", "true")
    expect(parameter.get_by_role("textbox")).to_have_value("0.85")
    page.press("Reset Temperature")

    expect(parameter).to_have_attribute("data-changed", "false")
    expect(parameter.get_by_role("textbox")).to_have_value("0.8")


def test_the_seam_can_be_moved_and_writing_goes_on_from_there(page: Playground) -> None:
    page.set_length(20)
    page.write(PROMPT)
    page.generate()
    seam = page.page.get_by_role("slider", name="Where the continuation starts")
    seam.press("ArrowLeft")
    page.press("Again")
    page.await_end()

    assert page.requests[-1]["prompt"] == PROMPT.removesuffix(" who")


def test_the_seam_can_be_dragged(page: Playground) -> None:
    page.set_length(20)
    page.write(PROMPT)
    page.generate()
    handle = page.page.get_by_role("slider", name="Where the continuation starts").bounding_box()
    assert handle is not None
    page.page.mouse.move(handle["x"] + 8, handle["y"] + 14)
    page.page.mouse.down()
    page.page.mouse.move(handle["x"] - 75, handle["y"] + 14, steps=6)
    page.page.mouse.up()

    prompt = page.page.locator(".prompt").text_content() or ""
    assert PROMPT.startswith(prompt)
    assert 0 < len(prompt) < len(PROMPT)


def test_a_reload_finds_everything(page: Playground) -> None:
    page.set_length(20)
    page.choose_strategy("Top-k sampling")
    page.write(PROMPT)
    text = page.generate()
    page.page.reload()

    expect(page.pad).to_have_value(text)
    expect(page.page.get_by_label("Strategy")).to_have_value("top_k")
    expect(page.page.get_by_role("textbox", name="Length", exact=True)).to_have_value("20")
    page.press("Undo")
    assert page.text == PROMPT


def test_text_that_is_arriving_while_the_page_is_left_is_kept(slow_page: Playground) -> None:
    page = slow_page
    page.set_length(400)
    page.write(PROMPT)
    page.press("Generate")
    page.await_text_after(PROMPT)
    before = page.text
    page.page.reload()

    expect(page.status).to_contain_text("You left the page here")
    assert page.text.startswith(before)
    page.press("Go on")
    page.await_text_after(before)
    page.press("Stop")


def test_two_tabs_do_not_overwrite_each_other(open_page: OpenPage, server: str) -> None:
    first = open_page(server)
    first.write("The first tab")
    second = open_page(server, tab_of=first)
    assert second.text == ""
    second.write("The second tab")
    for page in (first, second):
        page.page.wait_for_timeout(600)
        page.page.reload()

    expect(first.pad).to_have_value("The first tab")
    expect(second.pad).to_have_value("The second tab")
    second.press("Drafts")
    expect(second.page.locator(".draft-title")).to_have_text(["The second tab", "The first tab"])


def test_the_rail_shows_what_could_be_written_next_with_these_settings(page: Playground) -> None:
    page.write(PROMPT)
    shape = page.page.get_by_role("figure", name="Likely next")
    expect(shape).to_contain_text("in play")
    drawn_from = shape.inner_text()

    page.choose_strategy("Greedy")
    expect(shape).not_to_have_text(drawn_from)


def test_what_is_typed_right_after_opening_the_palette_goes_into_it(page: Playground) -> None:
    focused_class = page.page.evaluate(
        """() => new Promise((resolve) => {
          const keys = { key: "k", ctrlKey: true, bubbles: true };
          document.activeElement.dispatchEvent(new KeyboardEvent("keydown", keys));
          setTimeout(() => resolve(document.activeElement.className), 0);
        })"""
    )
    assert focused_class == "palette-query"


def test_everything_is_done_from_the_keyboard(slow_page: Playground) -> None:
    page = slow_page
    keyboard = page.page.keyboard
    page.set_length(300)
    page.pad.focus()
    keyboard.type(PROMPT)
    keyboard.press("Control+Enter")
    page.await_text_after(PROMPT)
    keyboard.press("Escape")
    expect(page.status).to_contain_text("Stopped")
    keyboard.press("Control+z")
    assert page.text == PROMPT
    keyboard.press("Control+Shift+z")
    assert page.text != PROMPT

    keyboard.press("Control+k")
    keyboard.type("strategy greedy")
    keyboard.press("Enter")
    expect(page.page.get_by_label("Strategy")).to_have_value("greedy")
    keyboard.press("Control+k")
    keyboard.type("dark")
    keyboard.press("Enter")
    expect(page.page.locator("html")).to_have_attribute("data-theme", "dark")
    keyboard.press("Alt+2")
    expect(page.compare_prompt).to_be_visible()
