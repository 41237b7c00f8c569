"""`penstock users` and `penstock keys`, as they are typed."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

PASSWORD = "a brass difference engine"


@pytest.fixture
def password(bare: Path) -> str:
    """The file with a password that is accepted."""
    (bare / "password").write_text(PASSWORD + "\n")
    return str(bare / "password")


def test_an_account_is_made_listed_changed_and_told_of(penstock: Run, password: str) -> None:
    made = penstock("users", "create", "ada", "--admin", "--password-file", password)
    penstock("users", "create", "bob", "--password-file", password)
    changed = penstock("users", "change", "bob", "--state", "disabled")
    listed = json.loads(penstock("users", "list", "--json")[1])["users"]
    told = json.loads(penstock("users", "log", "--json")[1])["events"]

    assert made == (0, "", "ada can sign in and administer accounts and models.\n")
    assert changed[2] == "bob is disabled, with the role user.\n"
    assert [(u["username"], u["role"], u["state"]) for u in listed] == [
        ("ada", "admin", "active"),
        ("bob", "user", "disabled"),
    ]
    assert "argon2" not in str(listed)
    assert [event["event"] for event in told] == ["user_changed", "user_created", "user_created"]


def test_an_account_is_removed_unless_nobody_could_administer_then(
    penstock: Run, password: str
) -> None:
    penstock("users", "create", "ada", "--admin", "--password-file", password)
    penstock("users", "create", "bob", "--password-file", password)

    assert penstock("users", "remove", "bob") == (0, "", "bob is removed.\n")
    assert penstock("users", "remove", "bob")[0] == 1
    assert "ada is the only administrator." in penstock("users", "remove", "ada")[2]
    listed = json.loads(penstock("users", "list", "--json")[1])["users"]
    assert [user["username"] for user in listed] == ["ada"]


def test_a_key_is_printed_once_and_can_be_revoked(penstock: Run, password: str) -> None:
    penstock("users", "create", "bob", "--password-file", password)
    status, key, news = penstock("keys", "create", "bob", "--label", "cron", "--days", "30")
    (listed,) = json.loads(penstock("keys", "list", "bob", "--json")[1])["keys"]

    assert (status, news) == (0, "Keep it: it is not shown again.\n")
    assert key.startswith(f"tg_{listed['id']}_")
    assert listed["scopes"] == ["files", "generate"]
    assert key.strip()[12:] not in str(listed)
    assert penstock("keys", "revoke", listed["id"])[0] == 0
    assert json.loads(penstock("keys", "list", "bob", "--json")[1]) == {"keys": []}
    assert penstock("keys", "revoke", listed["id"])[0] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (("users", "password", "nobody"), 1, "There is no user 'nobody'."),
        (("users", "create", "no way!"), 2, "username='no way!' cannot be used."),
        (("users", "create", "bob"), 1, "There is a user 'bob' already."),
        (("keys", "create", "bob", "--scope", "users"), 2, "not what bob may do"),
        (("keys", "create", "bob", "--scope", "everything"), 2, "not what bob may do"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    penstock: Run, password: str, arguments: tuple[str, ...], status: int, problem: str
) -> None:
    penstock("users", "create", "bob", "--password-file", password)
    asked = [*arguments, "--password-file", password] if arguments[0] == "users" else arguments

    found = penstock(*asked)

    assert found[0] == status
    assert problem in found[2]
    assert found[2].count("\n") == 1


def test_a_weak_password_makes_no_account(penstock: Run, bare: Path) -> None:
    (bare / "weak").write_text("admin")

    status, _, news = penstock("users", "create", "admin", "--password-file", str(bare / "weak"))

    assert status == 2
    assert "has 5 characters" in news
    assert json.loads(penstock("users", "list", "--json")[1]) == {"users": []}


@pytest.mark.parametrize(
    "secret", ["your-secret-key", "secret", "change-me-in-production-please-really", "x" * 64]
)
def test_a_secret_that_others_can_guess_starts_nothing(
    penstock: Run, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", secret)

    status, _, news = penstock("users", "list")

    assert status == 3
    assert news.startswith("penstock: secret_key ")
    assert f"={secret}" not in news and (secret == "secret" or secret not in news)
