"""The commands of docs/accounts.md, as they stand there, in a shell against a real server."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.accounts.principal import Role
from penstock.accounts.registration import Wanted
from penstock.api.access import AT_START, build_accounts, storage_of
from penstock.settings import Settings
from tests.api.real_server import serving
from tests.conftest import REPOSITORY, missing
from tests.fakes import FakeModels

PAGE = REPOSITORY / "docs" / "accounts.md"
PASSWORD = "a brass difference engine"
COMMANDS = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), flags=re.S | re.M)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    settings = Settings(auth="required", registration="open", data_dir=tmp_path)

    async def make_ada() -> None:
        storage = storage_of(settings)
        await storage.open()
        await build_accounts(settings, storage).registration.create(
            Wanted(username="ada", password=PASSWORD),
            role=Role.ADMIN,
            actor="test",
            visitor=AT_START,
        )
        await storage.close()

    asyncio.run(make_ada())
    with serving(settings, FakeModels()) as url:
        yield url


def test_the_session_runs_as_it_is_written(url: str) -> None:
    if shutil.which("curl") is None:
        missing("curl", "curl is not installed.")
    known = {"PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}
    answers: list[dict[str, object]] = []
    for command in COMMANDS:
        ran = subprocess.run(
            ["sh", "-c", command.replace("http://127.0.0.1:8000", url)],
            env=known,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        answers.append(json.loads(ran.stdout or "{}"))
        if "access_token" in answers[-1]:
            known["TOKEN"] = str(answers[-1]["access_token"])
            known["REFRESH"] = str(answers[-1]["refresh_token"])

    token, text, me, registered, refreshed, key, signed_out = answers
    assert {"access_token", "token_type", "expires_in"} <= token.keys()
    assert text["object"] == "text_completion"
    assert (me["username"], me["role"]) == ("ada", "admin")
    assert (registered["username"], registered["email"]) == ("bob", "bob@example.org")
    assert "password" not in registered
    assert refreshed["access_token"] != token["access_token"]
    assert signed_out == {}
    assert str(key["key"]).startswith("tg_")
