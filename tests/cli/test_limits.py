"""`penstock users set` and `penstock keys set`, as they are typed."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def key_id(bare: Path, penstock: Run) -> str:
    """The id of a key of bob's."""
    (bare / "password").write_text("the miller's third daughter\n")
    penstock("users", "create", "bob", "--password-file", str(bare / "password"))
    penstock("keys", "create", "bob")
    (key,) = json.loads(penstock("keys", "list", "bob", "--json")[1])["keys"]
    return str(key["id"])


def limits(penstock: Run, *words: str) -> dict[str, int | None]:
    status, told, problem = penstock(*words, "--json")
    assert status == 0, problem
    return dict(json.loads(told))


def test_limits_are_set_kept_and_taken_back(penstock: Run, key_id: str) -> None:
    before = limits(penstock, "users", "set", "bob")
    penstock("users", "set", "bob", "tokens_per_day=10,000", "max-streams=none")
    penstock("users", "set", "bob", "requests_per_day=5")
    after = limits(penstock, "users", "set", "bob")
    back = ("tokens_per_day=default", "max_streams=default", "requests_per_day=default")

    changed = {"tokens_per_day": 10_000, "max_streams": None, "requests_per_day": 5}
    assert after == {**before, **changed}
    assert limits(penstock, "users", "set", "bob", *back) == before
    assert limits(penstock, "keys", "set", key_id, "tokens_per_minute=7") == {
        **dict.fromkeys(before),
        "tokens_per_minute": 7,
    }
    told = json.loads(penstock("users", "log", "--json")[1])["events"]
    assert [event["event"] for event in told].count("limits_set") == 4


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("users", "set", "bob", "tokens_per_day=many"), "tokens_per_day='many' is no number."),
        (("users", "set", "bob", "tokens=5"), "There is no limit 'tokens'."),
        (("users", "set", "bob", "max_streams=-1"), "max_streams=-1 is out of range."),
        (("users", "set", "nobody"), "There is no user 'nobody'."),
        (("keys", "set", "abc", "max_streams=1"), "There is no key 'abc'."),
    ],
)
def test_what_cannot_be_set_is_told(
    penstock: Run, key_id: str, words: tuple[str, ...], problem: str
) -> None:
    status, _, told = penstock(*words)

    assert status in (1, 2)
    assert problem in told
