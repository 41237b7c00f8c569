"""Starting: what refuses to, in a line that says what to do, and what is made at first start."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from penstock.accounts.signing_secret import signing_secret
from penstock.api.access import AT_START, build_accounts, prepare_accounts, storage_of
from penstock.errors import PenstockError
from penstock.settings import Settings
from tests.accounts.making import SECRET
from tests.server_process import running_server

LAUNCH = [sys.executable, "-c", "from penstock.cli.main import main; main()"]
PASSWORD = "a brass difference engine"


def start(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What comes of starting a server that does not start."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK_", "JWT_"))}
    return subprocess.run(
        [*LAUNCH, *options],
        cwd=folder,
        env=kept | {"HOME": str(folder), "XDG_DATA_HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        input=PASSWORD + "\n",
    )


async def prepare(settings: Settings) -> str | None:
    """What a server does before it listens."""
    storage = storage_of(settings)
    await storage.open()
    try:
        return await prepare_accounts(settings, build_accounts(settings, storage))
    finally:
        await storage.close()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"host": "0.0.0.0"}, "penstock users create NAME --admin"),
        ({"allowed_hosts": ("pen.example",)}, "PENSTOCK_AUTH=required"),
        ({"secret_key": "your-secret-key"}, "is a placeholder that others know too"),
        ({"secret_key": "Zq3v8Xk1Lw9pTn6Yb2"}, "has 18 bytes; HS256 needs 32"),
        ({"secret_key": SECRET, "token_algorithm": "HS384"}, "has 32 bytes; HS384 needs 48"),
        ({"secret_key": "secret", "auth": "off"}, "is a placeholder"),
        ({"auth": "required", "admin_password": "admin"}, "The password has 5 characters"),
    ],
)
async def test_a_server_that_would_be_open_or_guessed_does_not_start(
    tmp_path: Path, chosen: dict[str, object], said: str
) -> None:
    with pytest.raises(PenstockError) as refused:
        await prepare(Settings(**{"data_dir": tmp_path, **chosen}))

    assert said in str(refused.value)
    assert "your-secret-key" not in str(refused.value)


async def test_a_password_of_the_settings_makes_the_first_administrator_and_no_other(
    tmp_path: Path,
) -> None:
    chosen = {"data_dir": tmp_path, "host": "0.0.0.0", "admin_username": "ada"}
    assert await prepare(Settings(**chosen, admin_password=PASSWORD)) is None
    assert await prepare(Settings(**chosen, admin_password="another one altogether")) is None
    assert await prepare(Settings(**chosen)) is None

    storage = storage_of(Settings(**chosen))
    await storage.open()
    accounts = build_accounts(Settings(**chosen), storage)
    assert await accounts.signing_in.check("ada", PASSWORD, AT_START)
    assert len(await accounts.administration.users()) == 1
    await storage.close()


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = signing_secret(None, tmp_path / "new", "HS512")

    assert signing_secret(None, tmp_path / "new", "HS256") == first
    assert len(first) >= 64
    assert stat.S_IMODE((tmp_path / "new" / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secret_key"]


def test_a_server_that_would_be_open_ends_with_one_line(tmp_path: Path) -> None:
    ended = start(
        tmp_path,
        "serve",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
        "--no-browser",
        "--log-level",
        "warning",
    )

    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("penstock: ")
    assert "penstock users create" in line
    assert ended.returncode == 3


def test_a_password_is_told_once_and_must_be_changed_before_anything_else(tmp_path: Path) -> None:
    environment = {"PENSTOCK_AUTH": "required"}
    with running_server(LAUNCH, "--no-browser", folder=tmp_path, environment=environment) as server:
        told = re.search(r"Sign in as (\S+) with the password (\S+) ", server.log.read_text())
        assert told is not None
        form = {"grant_type": "password", "username": told[1], "password": told[2]}
        token = httpx2.post(f"{server.url}/token", data=form).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        assert httpx2.get(f"{server.url}/models", headers=headers).status_code == 403
        change = {"current_password": told[2], "new_password": PASSWORD}
        changed = httpx2.post(f"{server.url}/users/me/password", json=change, headers=headers)
        assert changed.status_code == 204

    with running_server(LAUNCH, "--host", "0.0.0.0", "--no-browser", folder=tmp_path) as server:
        assert "Sign in as" not in server.log.read_text()  # there is somebody now
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        form["password"] = PASSWORD
        assert httpx2.post(f"{url}/token", data=form).status_code == 200
        assert httpx2.get(f"{url}/models").status_code == 401
    assert PASSWORD not in server.log.read_text()
