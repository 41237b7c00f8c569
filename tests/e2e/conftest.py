"""A browser, the real server and its stand-in, for tests that use the page as a person does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY, missing
from tests.e2e.fake_server import FakeServer
from tests.server_process import running_server

if TYPE_CHECKING:  # where Playwright is missing, the test modules say so and are skipped
    from playwright.sync_api import Browser

    from tests.e2e.playground import Playground

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WEIGHTS = REPOSITORY / "src" / "penstock" / "model" / "builtin" / "model.safetensors"
START_SECONDS = 170

OpenPage = Callable[..., "Playground"]


# For one module only: while Playwright's loop runs, no asyncio test could.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    from tests.e2e.playground import PATIENCE_MS

    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens the page at an address; with `tab_of`, in a second tab of that page's browser."""
    from tests.e2e.playground import Playground

    contexts = []
    pages: list[Playground] = []

    def open_page(url: str, tab_of: Playground | None = None, **options: object) -> Playground:
        if tab_of is None:
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
            contexts.append(context)
        else:
            context = tab_of.page.context
        pages.append(Playground(context.new_page()))
        return pages[-1].open(url)

    yield open_page
    for context in contexts:
        context.close()
    assert [complaint for page in pages for complaint in page.complaints] == []


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server; PLAYGROUND_TEST_URL names one that runs already."""
    if url := os.environ.get("PLAYGROUND_TEST_URL"):
        yield url
        return
    if not WEIGHTS.is_file():
        missing("builtin-model", f"The built-in model has no weights at {WEIGHTS}.")
    folder = tmp_path_factory.mktemp("server")
    penstock = Path(sys.executable).with_name("penstock")
    environment = {"PENSTOCK_CORS_ORIGINS": "null", "OMP_NUM_THREADS": "1"}
    options = ("--no-browser", "--data-dir", str(folder))
    with running_server([penstock], *options, folder=folder, environment=environment) as server:
        yield server.url


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """A stand-in that says what the test tells it to."""
    server = FakeServer().start()
    yield server
    server.stop()


@pytest.fixture
def page(open_page: OpenPage, server: str) -> Playground:
    return open_page(server)


@pytest.fixture
def slow_page(open_page: OpenPage, fake: FakeServer) -> Playground:
    """A page on which text arrives for ten seconds: the real model may end before a hand moves."""
    fake.script.text = " word" * 400
    fake.script.seconds_per_token = 0.025
    return open_page(fake.url)
