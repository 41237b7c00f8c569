"""The page as a person meets it: what they see by its name, what they press by its label.

Knows no CSS but where the page has no word for a thing.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

playwright_api = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
)
from playwright.sync_api import Locator, Page, Request, expect  # noqa: E402

PATIENCE_MS = 60_000  # a small model on a busy machine


class Playground:
    """One open page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE_MS)
        self.requests: list[dict[str, Any]] = []  # for text; what the rail asks meanwhile is not
        self.complaints: list[str] = []
        page.on("request", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def open(self, url: str) -> Playground:
        self.page.goto(url)
        expect(self.page.get_by_role("main")).to_be_visible()
        return self

    @property
    def pad(self) -> Locator:
        return self.page.get_by_label("Your text")

    @property
    def text(self) -> str:
        return self.pad.input_value()

    @property
    def status(self) -> Locator:
        return self.page.get_by_role("status")

    @property
    def columns(self) -> Locator:
        return self.page.locator(".column")

    @property
    def compare_prompt(self) -> Locator:
        return self.page.get_by_label("Prompt for all columns")

    def press(self, label: str) -> None:
        self.page.get_by_role("button", name=label, exact=True).click()

    def button(self, label: str) -> Locator:
        return self.page.get_by_role("button", name=label, exact=True)

    def write(self, text: str) -> None:
        self.pad.fill(text)

    def set_length(self, tokens: int) -> None:
        field = self.page.get_by_role("textbox", name="Length", exact=True)
        field.fill(str(tokens))
        field.press("Tab")

    def await_text_after(self, prompt: str) -> None:
        expect(self.pad).to_have_value(re.compile(re.escape(prompt) + ".", re.DOTALL))

    def await_end(self) -> None:
        expect(self.page.locator("[data-command=stop]")).to_be_hidden()
        expect(self.button("Generate")).to_be_enabled()

    def generate(self) -> str:
        """Press Generate, wait for the end, and return the whole text."""
        before = self.text
        self.press("Generate")
        self.await_text_after(before)
        self.await_end()
        return self.text

    def choose_strategy(self, label: str) -> None:
        self.page.get_by_label("Strategy").select_option(label=label)

    def _note(self, request: Request) -> None:
        if request.method == "POST" and "/lab/" not in request.url:
            self.requests.append(request.post_data_json)
