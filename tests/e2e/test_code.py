"""The code that the page shows does what the page did."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.e2e.playground import Playground

PROMPT = "It's \"quoted\": `ls` $HOME \\ and\na second line with 🐻, said the miller's"

# In the place of `requests`: tells what it is asked to post.
STAND_IN = """
import json, sys, types
class Response:
    def raise_for_status(self): pass
    def json(self): return {"generated_text": ""}
def post(url, json, timeout):
    sys.stderr.write(dump(json))
    return Response()
dump = json.dumps
sys.modules["requests"] = types.SimpleNamespace(post=post)
"""


def code_for(page: Playground, language: str) -> str:
    page.press("Code")
    page.press(language)
    return page.page.locator(".code-block pre").text_content() or ""


@pytest.fixture
def written(page: Playground) -> tuple[Playground, str]:
    page.set_length(16)
    page.write(PROMPT)
    return page, page.generate()


def test_curl_brings_the_text_on_the_screen(written: tuple[Playground, str]) -> None:
    if shutil.which("curl") is None:
        missing("curl", "curl is not installed.")
    page, text = written
    answer = subprocess.run(
        ["sh", "-c", code_for(page, "curl")], capture_output=True, check=True, timeout=120
    )

    assert json.loads(answer.stdout)["generated_text"] == text


def test_python_posts_what_the_page_posted(written: tuple[Playground, str]) -> None:
    page, _ = written
    code = code_for(page, "Python")
    ran = subprocess.run(
        [sys.executable, "-c", STAND_IN + code], capture_output=True, check=True, timeout=60
    )

    posted = json.loads(ran.stderr)
    assert isinstance(posted.pop("seed"), int)
    for_the_screen = {"stream": True, "logprobs": 8}
    assert posted | for_the_screen == page.requests[0]


def test_the_command_line_writes_the_text_on_the_screen(written: tuple[Playground, str]) -> None:
    page, text = written
    code = code_for(page, "Command line")
    program = Path(sys.executable).with_name("penstock")
    command = re.sub(r"^penstock", str(program), code)
    ran = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=120)

    assert text in ran.stdout.decode()


def test_after_a_setting_is_changed_there_is_code_for_both(written: tuple[Playground, str]) -> None:
    page, _ = written
    page.page.locator(".rail [data-parameter=temperature]").get_by_role("slider").press("End")
    of_text = json.loads(code_for(page, "curl").split("--data-raw '")[1][:-1].replace("'\\''", "'"))
    page.press("These settings")
    code = page.page.locator(".code-block pre").text_content() or ""
    of_settings = json.loads(code.split("--data-raw '")[1][:-1].replace("'\\''", "'"))

    assert (of_text["temperature"], of_settings["temperature"]) == (0.8, 2)
    assert "seed" in of_text
    assert "seed" not in of_settings
