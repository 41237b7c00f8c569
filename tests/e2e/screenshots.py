"""Takes the pictures under docs/img from a running server: screens, themes, desk and phone.

`python -m tests.e2e.screenshots http://127.0.0.1:8000`
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.conftest import ARGUMENTS
from tests.e2e.playground import PATIENCE_MS, Playground

IMAGES = Path(__file__).parents[2] / "docs" / "img"
PROMPT = "Once upon a time, there was a little boy who wanted to see the sea. One day,"
DESK = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


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


def snap(page: Playground, name: str) -> None:
    """A picture of few colours, as the page has few: a quarter of the size."""
    page.page.mouse.move(0, 0)
    page.page.evaluate("() => document.activeElement?.blur()")
    page.page.wait_for_timeout(400)
    path = IMAGES / f"{name}.png"
    page.page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(192).save(path, optimize=True)


if __name__ == "__main__":
    main()
