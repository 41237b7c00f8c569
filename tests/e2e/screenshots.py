"""Takes the pictures under docs/img from a running server: screens, themes, desk and phone.

`python -m tests.e2e.screenshots http://127.0.0.1:8000`, with a server whose data folder is new: its
history is in the pictures, and its first account is made.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, FloatRect, expect, sync_playwright

from tests.e2e.conftest import ARGUMENTS
from tests.e2e.playground import PATIENCE_MS, Playground

IMAGES = Path(__file__).parents[2] / "docs" / "img"
PROMPT = "Once upon a time, there was a little boy who wanted to see the sea. One day,"
DESK = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
OTHERS = (
    ("greedy", "The old fisherman saw a big box in the water. He pulled it out and"),
    ("top_k", "Lily had lost her red balloon. She looked under the bed, and there she found"),
    ("sampling", 'The fox looked at the bear and laughed. "You will never catch me," he said,'),
)
NAME, PASSWORD = "ada", "a brass difference engine"
NUM_COLORS = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    url = parser.parse_args().url
    IMAGES.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        for scheme in ("light", "dark"):
            take(browser, url, scheme, "", DESK)
            take(browser, url, scheme, "phone-", PHONE)
        take_closer(browser, url)
        browser.close()


def take(browser: Browser, url: str, scheme: str, prefix: str, options: dict[str, object]) -> None:
    page = Playground(browser.new_page(color_scheme=scheme, **options))
    page.open(url)
    expect(page.page.locator(".example").first).to_be_visible()
    snap(page, f"{prefix}empty-{scheme}")
    page.write(PROMPT)
    page.generate()
    if not prefix:
        page.press("Again")
        page.await_end()
        page.press("Branches")
    snap(page, f"{prefix}write-{scheme}")
    page.page.get_by_role("link", name="Compare").click()
    page.press("Compare")
    expect(page.button("Stop all")).to_be_hidden()
    snap(page, f"{prefix}compare-{scheme}")
    page.page.close()


def take_closer(browser: Browser, url: str) -> None:
    """The parts that are not there at first sight, in one theme."""
    page = Playground(browser.new_page(color_scheme="light", **DESK))
    page.open(url)
    page.write(PROMPT)
    page.generate()
    token_card(page)
    presets(page)
    page.choose_strategy("Beam search")
    page.set_length(24)
    page.press("Again")
    page.await_end()
    snap(page, "beams-light")
    for strategy, prompt in OTHERS:
        body = {"strategy": strategy, "prompt": prompt, "max_new_tokens": 60}
        page.page.request.post(f"{url}/generate", data=body)
    page.page.get_by_role("link", name="History").click()
    expect(page.page.locator(".kept").first).to_be_visible()
    snap(page, "history-light")
    account(page)
    page.page.close()


def token_card(page: Playground) -> None:
    page.press("Tokens")
    page.page.locator(".token").nth(9).scroll_into_view_if_needed()
    box = page.page.locator(".token").nth(9).bounding_box()
    assert box is not None
    page.page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    expect(page.page.locator(".waterfall")).to_be_visible()
    keep(page, "tokens-light")
    page.press("Tokens")


def presets(page: Playground) -> None:
    page.press("Storyteller")
    page.page.get_by_role("slider", name="Temperature").hover()
    keep(page, "presets-light", page.page.locator(".rail").bounding_box())


def account(page: Playground) -> None:
    """The first account, made here, with a key and what it used."""
    page.press("Account")
    page.page.get_by_label("Name", exact=True).fill(NAME)
    page.page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.press("Create the account")
    page.page.get_by_label("What it is for").fill("notebook")
    page.press("Create a key")
    page.press("I have it")
    page.press("Close")
    page.page.get_by_role("link", name="Write", exact=True).click()
    page.generate()
    page.press(f"Account: {NAME}")
    expect(page.page.locator(".usage figure")).to_be_visible()
    keep(page, "account-light", page.page.locator(".dialog").bounding_box())


def snap(page: Playground, name: str) -> None:
    """What is to be seen without a hand in it."""
    page.page.mouse.move(0, 0)
    page.page.evaluate("() => document.activeElement?.blur()")
    keep(page, name)


def keep(page: Playground, name: str, clip: FloatRect | None = None) -> None:
    """A picture of few colours, as the page has few: a quarter of the size."""
    page.page.wait_for_timeout(400)
    path = IMAGES / f"{name}.png"
    page.page.screenshot(path=path, clip=clip)
    Image.open(path).convert("RGB").quantize(NUM_COLORS).save(path, optimize=True)


if __name__ == "__main__":
    main()
