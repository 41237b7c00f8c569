"""What the page does when things go wrong, with a stand-in that makes them go wrong."""

from __future__ import annotations

from tests.e2e.conftest import OpenPage
from tests.e2e.fake_server import WEB, FakeServer
from tests.e2e.playground import expect

PROMPT = "Once upon a time there was a miller who"
HOSTILE = (
    " <img src=x onerror=alert(1)> <script>alert(2)</script> </textarea><svg onload=alert(3)> "
    "javascript:alert(4) {{7*7}} &lt;b&gt; <b>bold</b> "
)


def test_hostile_text_is_text(open_page: OpenPage, fake: FakeServer) -> None:
    fake.script.text = HOSTILE
    page = open_page(fake.url)
    before = page.page.locator("*").count()
    page.write(PROMPT + HOSTILE)
    text = page.generate()

    assert text == PROMPT + HOSTILE + HOSTILE.rstrip()
    assert page.page.locator("img, b, svg[onload], .sheet script").count() == 0
    page.page.get_by_role("link", name="Compare").click()
    page.press("Compare")
    expect(page.button("Compare")).to_be_visible()
    assert "<img src=x" in (page.page.locator(".column-text").first.text_content() or "")
    assert page.page.locator("img, b, svg[onload], .column script").count() == 0
    page.page.get_by_role("link", name="Write").click()
    page.press("Branches")
    page.press("Code")
    assert page.page.locator("img, b, svg[onload]").count() == 0
    assert before > 0


def test_too_long_offers_the_length_that_fits(open_page: OpenPage, fake: FakeServer) -> None:
    page = open_page(fake.url)
    page.set_length(5000)
    page.write(PROMPT)
    page.press("Generate")
    expect(page.status).to_contain_text("do not fit the context")
    fitting = 512 - len(PROMPT.split()) - 1
    page.press(f"Shorten length to {fitting}")
    page.await_text_after(PROMPT)

    expect(page.page.get_by_role("textbox", name="Length", exact=True)).to_have_value(str(fitting))


def test_no_server_is_one_quiet_line_until_there_is_one(open_page: OpenPage) -> None:
    first = FakeServer().start()
    page = open_page(first.url)
    page.write(PROMPT)
    expect(page.button("Generate")).to_be_enabled()
    first.stop()
    page.press("Generate")
    expect(page.status).to_contain_text("No answer from")
    assert page.text == PROMPT
    second = FakeServer(first.server_port).start()
    page.press("Try again")
    page.await_text_after(PROMPT)
    second.stop()


def test_the_page_finds_a_server_that_starts_after_it(open_page: OpenPage) -> None:
    server = FakeServer()
    port = server.server_port
    server.server_close()
    page = open_page(f"{(WEB / 'index.html').as_uri()}?api=http://127.0.0.1:{port}")
    expect(page.status).to_contain_text(f"No answer from http://127.0.0.1:{port}")
    late = FakeServer(port).start()

    expect(page.page.get_by_label("Strategy")).to_have_value("sampling")
    late.stop()


def test_a_stream_that_breaks_keeps_its_text(open_page: OpenPage, fake: FakeServer) -> None:
    fake.script.break_after = 5
    page = open_page(fake.url)
    page.write(PROMPT)
    page.press("Generate")
    expect(page.status).to_contain_text("stopped in the middle")

    assert page.text.startswith(PROMPT)
    assert len(page.text) > len(PROMPT)


def test_stop_frees_the_server(open_page: OpenPage, fake: FakeServer) -> None:
    fake.script.text = " word" * 400
    fake.script.seconds_per_token = 0.2
    page = open_page(fake.url)
    page.set_length(400)
    page.write(PROMPT)
    page.press("Generate")
    page.await_text_after(PROMPT)
    page.press("Stop")

    assert fake.script.cancelled.wait(timeout=60)


def test_the_page_opens_from_a_file(open_page: OpenPage, server: str) -> None:
    page = open_page(f"{(WEB / 'index.html').as_uri()}?api={server}")
    page.set_length(20)
    page.write(PROMPT)

    assert page.generate().startswith(PROMPT)


def test_a_reader_who_scrolled_up_is_left_there(open_page: OpenPage, fake: FakeServer) -> None:
    fake.script.text = " word" * 300
    fake.script.seconds_per_token = 0.005
    page = open_page(fake.url)
    page.set_length(300)
    page.write("Line\n" * 60 + PROMPT)
    page.press("Generate")
    page.await_text_after("Line")
    page.page.locator(".scroller").evaluate("element => { element.scrollTop = 0 }")
    page.await_end()

    assert page.page.locator(".scroller").evaluate("element => element.scrollTop") == 0


def test_an_input_method_is_left_alone_while_text_arrives(
    open_page: OpenPage, fake: FakeServer
) -> None:
    fake.script.text = " word" * 400
    page = open_page(fake.url)
    page.set_length(400)
    page.write(PROMPT)
    page.press("Generate")
    page.await_text_after(PROMPT)
    page.pad.press("Control+End")
    session = page.page.context.new_cdp_session(page.page)
    for text in ("m", "mi", "み"):
        caret = {"selectionStart": len(text), "selectionEnd": len(text)}
        session.send("Input.imeSetComposition", {"text": text, **caret})
    session.send("Input.insertText", {"text": "水車"})

    expect(page.status).not_to_contain_text("Writing")
    assert page.text.endswith("水車")
    assert "み" not in page.text
    assert page.page.locator(".drawn").text_content() == page.text
