"""The documentation in a real browser, under its content policy and without any other server."""

from typing import Any

import pytest

from tests.api.conftest import Live, listening
from tests.fakes import FakeModels

playwright_api = pytest.importorskip(
    "playwright.async_api", reason="Playwright is not installed: pip install playwright"
)


async def visit(page: Any, live: Live, path: str, waited_for: str) -> tuple[list[str], list[str]]:
    """What failed on the page, and which other servers it reached."""
    failures: list[str] = []
    elsewhere: list[str] = []
    own = f"http://127.0.0.1:{live.port}/"
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on(
        "response", lambda r: None if r.url.startswith((own, "blob:")) else elsewhere.append(r.url)
    )
    await page.goto(own + path, timeout=60_000)
    await page.get_by_text(waited_for).locator("visible=true").first.wait_for(timeout=60_000)
    return failures, elsewhere


@pytest.mark.parametrize("path", ["docs", "redoc"])
async def test_the_documentation_shows_itself_and_reaches_no_other_server(
    chromium: str, path: str
) -> None:
    async with listening(FakeModels()) as live, playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()

        failures, elsewhere = await visit(page, live, path, "Continue a prompt in several ways")

        assert (failures, elsewhere) == ([], [])
        await browser.close()


async def test_a_request_can_be_tried_from_the_documentation(chromium: str) -> None:
    async with listening(FakeModels()) as live, playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await visit(page, live, "docs", "Continue a prompt in several ways")

        await page.get_by_text("/generate", exact=True).click()
        await page.get_by_role("button", name="Try it out").click()
        await page.get_by_role("button", name="Execute").click()

        await page.get_by_text('"generated_text": "Once upon a time there was').first.wait_for()
        await browser.close()
