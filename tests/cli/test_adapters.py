"""`penstock adapters` and `--adapter`, as they are typed."""

import json
from pathlib import Path

import pytest

from penstock.cli.exits import ExitCode
from penstock.cli.main import run
from tests.model.folders import tiny_config, write_model
from tests.model.lora_folders import write_lora


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model's folder; the data directory has one adapter for it."""
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PENSTOCK_THREADS", "1")
    model = write_model(tmp_path / "base", tiny_config(n_embd=32, n_positions=64))
    write_lora(tmp_path / "adapters" / "style", model, ("c_attn", "c_fc"))
    return str(tmp_path / "base")


def written(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    command = ["generate", "Once", "--strategy", "greedy", "--max-new-tokens", "12", "--json"]
    assert run([*command, *arguments]) == ExitCode.OK
    text: str = json.loads(capsys.readouterr().out)["generated_text"]
    return text


def test_a_merged_model_writes_what_base_and_adapter_write(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merged = str(tmp_path / "merged")

    assert run(["adapters", "merge", base, "style", merged]) == ExitCode.OK

    assert "4 matrices changed" in capsys.readouterr().err
    adapted = written(capsys, "--model", base, "--adapter", "style")
    assert written(capsys, "--model", merged) == adapted
    assert written(capsys, "--model", base) != adapted


def test_the_list_names_them(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["adapters", "list", "--json"]) == ExitCode.OK

    cards = json.loads(capsys.readouterr().out)["adapters"]
    assert [(card["name"], card["rank"], card["error"]) for card in cards] == [
        ("penstock-tiny-chat", 16, None),
        ("style", 3, None),
    ]


def test_an_unknown_one_is_refused_with_what_there_is(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merged = str(tmp_path / "merged")

    assert run(["adapters", "merge", base, "other", merged]) == ExitCode.MODEL_MISSING

    assert "There are penstock-tiny-chat, style." in capsys.readouterr().err
