"""Hostile texts as prompts, as what a model writes and as errors: they are shown, and nothing more.

What the content policy stops would not be enough: no element may have come of them at all.
"""

from __future__ import annotations

import os

from tests.e2e.conftest import OpenPage
from tests.e2e.fake_server import FakeServer
from tests.e2e.hostile_texts import hostile_texts
from tests.e2e.playground import Playground, expect
from tests.figures import record

NUM_TEXTS = 150 if "PENSTOCK_STRESS_STREAMS" in os.environ else 15  # `make stress` has them all
FOREIGN = (
    "img, iframe, object, embed, video, audio, form, math, template, xmp, noscript, base, "
    "meta[http-equiv=refresh], body script, body style, body link, a[href^='javascript' i], "
    "[onload], [onerror], [onfocus], [ontoggle], [onmouseover], [srcdoc], [formaction]"
)


def test_nothing_comes_of_a_hostile_text(open_page: OpenPage, fake: FakeServer) -> None:
    fake.script.seconds_per_token = 0
    page = open_page(fake.url)
    texts, elsewhere = hostile_texts(NUM_TEXTS), list[str]()
    page.page.on("request", lambda request: note_elsewhere(request.url, fake.url, elsewhere))
    own = page.page.locator(FOREIGN).count()

    for number, text in enumerate(texts):
        fake.script.text = " " + texts[-1 - number]
        page.write(text)
        assert page.generate().startswith(text)
        check_nothing_came(page, own)
        fake.script.refusal = text
        page.press("Generate")
        expect(page.page.locator("body")).to_contain_text(text[:40])
        check_nothing_came(page, own)
        fake.script.refusal = None

    record(
        "D6 hostile texts",
        "prompts, texts and errors in Chromium",
        {"texts": len(texts), "elements": 0, "requests elsewhere": len(elsewhere)},
    )
    assert elsewhere == []


def note_elsewhere(url: str, own: str, elsewhere: list[str]) -> None:
    if not url.startswith((own, "data:")):
        elsewhere.append(url)


def check_nothing_came(page: Playground, own: int) -> None:
    """No element that a text could have made, nothing that ran, and no dialog."""
    assert page.page.locator(FOREIGN).count() == own
    assert page.page.evaluate("() => window.hacked") is None
    assert page.complaints == []
