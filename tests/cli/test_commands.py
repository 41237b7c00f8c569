"""What each command prints, where it prints it, and how it ends."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock import __version__
from penstock.cli.models import pace
from penstock.cli.serve import has_browser
from penstock.decoding.strategies import STRATEGIES
from penstock.model.catalog import CATALOG
from penstock.model.hub_progress import DownloadProgress
from tests.model.folders import lay_out_as_cache

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["nonsense"], 2, "penstock: No such command 'nonsense'. See: penstock --help"),
        (
            ["generate"],
            2,
            "penstock: Missing argument 'PROMPT'. See: penstock generate --help",
        ),
        (
            ["generate", "x", "--set", "temperature=9"],
            2,
            "penstock: temperature=9 is out of range. Use 0 to 2.",
        ),
        (
            ["generate", "x", "--set", "temperature"],
            2,
            "penstock: --set temperature assigns nothing. Write it as name=value: --set top_p=0.9.",
        ),
        (
            ["generate", "x", "--max-new-tokens", "0"],
            2,
            "penstock: max_new_tokens=0 is out of range. Use 1 to 1000000.",
        ),
        (
            ["generate", "x", "--model", "gpt2"],
            4,
            "penstock: The files of gpt2 are not on this machine. "
            "Fetch them with `penstock models pull gpt2`.",
        ),
        (["models", "show", "gtp2"], 4, "penstock: There is no model 'gtp2'. Did you mean gpt2?"),
        (
            ["config", "show", "--config", "nowhere.toml"],
            3,
            "penstock: The config file nowhere.toml does not exist.",
        ),
    ],
)
def test_a_problem_is_one_line_on_stderr_with_its_exit_status(
    penstock: Run, arguments: list[str], status: int, line: str
) -> None:
    ended, out, err = penstock(*arguments)

    assert (ended, out) == (status, "")
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_a_mistyped_variable_is_a_bad_configuration(
    penstock: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_PROT", "80")

    status, out, err = penstock("doctor")

    assert (status, out) == (3, "")
    assert "PENSTOCK_PROT" in err and "PENSTOCK_PORT" in err


def test_the_version_is_that_of_the_package(penstock: Run) -> None:
    assert penstock("--version") == (0, f"penstock {__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["models"], ["config"], ["-h"], ["generate", "--help"]])
def test_without_a_command_or_when_asked_help_goes_to_stdout(
    penstock: Run, arguments: list[str]
) -> None:
    status, out, err = penstock(*arguments)

    assert (status, err) == (0, "")
    assert out.startswith("Usage: penstock")


def test_the_text_goes_to_stdout_and_the_news_to_stderr(penstock: Run) -> None:
    limits = ("--max-new-tokens", "6", "--seed", "3")

    status, out, err = penstock("generate", "Once upon a time", *limits)
    _, as_json, news = penstock("generate", "Once upon a time", *limits, "--json")

    assert status == 0
    assert out == json.loads(as_json)["generated_text"] + "\n"
    assert "6 tokens" in err and "seed 3" in err
    assert news == ""


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "assisted"])
def test_every_strategy_writes_and_says_which_it_was(penstock: Run, strategy: str) -> None:
    status, out, _ = penstock(
        "generate", "The sea", "--strategy", strategy, "--max-new-tokens", "3", "--json"
    )

    answer = json.loads(out)
    assert status == 0
    assert answer["strategy"] == strategy
    assert answer["parameters"]["type"] == STRATEGIES[strategy].type
    assert answer["usage"]["completion_tokens"] == 3


def test_what_is_set_is_what_the_answer_reports(penstock: Run) -> None:
    _, out, _ = penstock(
        "generate", "The sea", "--set", "temperature=0.3", "--set", "top_k=4", "--seed", "5",
        "--set", "num_return_sequences=2", "--max-new-tokens", "4", "--json",
    )  # fmt: skip

    answer = json.loads(out)
    assert (answer["parameters"]["temperature"], answer["parameters"]["top_k"]) == (0.3, 4)
    assert answer["seed"] == 5
    assert len(answer["sequences"]) == 2


def test_every_text_that_was_asked_for_is_printed(penstock: Run) -> None:
    asked = ("--set", "num_return_sequences=3", "--max-new-tokens", "4", "--seed", "5")

    _, out, _ = penstock("generate", "The sea", *asked)

    assert out.count("The sea") == 3


def test_the_list_of_models_is_the_catalog(penstock: Run) -> None:
    _, out, _ = penstock("models", "list", "--json")

    models = {model["id"]: model for model in json.loads(out)["models"]}
    assert list(models) == [entry.id for entry in CATALOG]
    assert models["penstock-tiny"]["local"]
    assert not models["gpt2"]["local"]


def test_a_model_put_into_the_data_folder_by_hand_is_found(penstock: Run, bare: Path) -> None:
    builtin = json.loads(penstock("models", "show", "penstock-tiny", "--json")[1])["folder"]
    by_hand = bare / "penstock" / "models" / "distilgpt2"
    by_hand.mkdir(parents=True)
    for file in Path(builtin).iterdir():
        if file.is_file():
            (by_hand / file.name).symlink_to(file)

    _, out, _ = penstock("models", "show", "distilgpt2", "--json")

    assert json.loads(out)["folder"] == str(by_hand)


def test_pulling_a_model_that_is_here_fetches_nothing(penstock: Run) -> None:
    status, out, err = penstock("models", "pull", "penstock-tiny")

    assert (status, out) == (0, "")
    assert "on this machine already" in err


def test_offline_pulling_says_how_to_go_on(penstock: Run) -> None:
    status, _, err = penstock("models", "pull", "gpt2")

    assert status == 4
    assert "HF_HUB_OFFLINE" in err


def test_a_fetched_model_is_removed_and_the_built_in_one_is_not(
    penstock: Run, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(bare / "hf"))
    builtin = Path(json.loads(penstock("models", "show", "penstock-tiny", "--json")[1])["folder"])
    lay_out_as_cache(builtin, bare / "hf" / "hub", "distilbert/distilgpt2")
    assert json.loads(penstock("models", "show", "distilgpt2", "--json")[1])["local"]

    removed, _, news = penstock("models", "remove", "distilgpt2")
    again, _, nothing = penstock("models", "remove", "distilgpt2")
    refused, _, reason = penstock("models", "remove", "penstock-tiny")

    assert (removed, again, refused) == (0, 4, 1)
    assert re.fullmatch(r"distilgpt2 is removed: [1-9]\d* MB are free again\.\n", news)
    assert "nothing of distilgpt2 on this machine" in nothing
    assert "ships with Penstock" in reason


@pytest.mark.parametrize(
    ("left", "rate", "words"),
    [
        (None, 0.0, "waiting"),
        (1_000_000, 2e6, "2.0 MB/s, 0:00 left"),
        (130_000_000, 2e6, "2.0 MB/s, 1:05 left"),
        (7_450_000_000, 2e6, "2.0 MB/s, 1:02:05 left"),
    ],
)
def test_a_download_tells_its_pace(left: int | None, rate: float, words: str) -> None:
    progress = DownloadProgress(
        file_name="f", num_bytes=0, total_bytes=left or 1, bytes_per_second=rate
    )

    assert pace(progress) == words


def test_the_doctor_looks_into_the_data_folder_of_the_settings(penstock: Run, bare: Path) -> None:
    builtin = json.loads(penstock("models", "show", "penstock-tiny", "--json")[1])["folder"]
    (bare / "elsewhere" / "models").mkdir(parents=True)
    (bare / "elsewhere" / "models" / "distilgpt2").symlink_to(builtin)
    (bare / ".env").write_text(f"PENSTOCK_DATA_DIR={bare / 'elsewhere'}\n")

    _, out, _ = penstock("doctor", "--json")

    findings = {finding["name"]: finding for finding in json.loads(out)["findings"]}
    assert "distilgpt2" in findings["models"]["text"]


def test_the_settings_are_shown_with_their_source_and_secrets_masked(
    penstock: Run, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUGGINGFACE_TOKEN", "hf_secret")
    monkeypatch.setenv("PENSTOCK_PORT", "8123")
    (bare / ".env").write_text("PENSTOCK_THREADS=3\nPENSTOCK_PORT=1\n")

    status, out, _ = penstock("config", "show", "--json")

    shown = json.loads(out)
    assert status == 0
    assert shown["port"]["value"] == "8123" and "environment" in shown["port"]["source"]
    assert shown["threads"]["value"] == "3" and ".env" in shown["threads"]["source"]
    assert shown["host"]["source"] == "default"
    assert shown["hf_token"]["value"] and "hf_secret" not in out


def test_the_doctor_names_the_kernels_and_finds_the_model(penstock: Run) -> None:
    status, out, _ = penstock("doctor", "--json")

    findings = {finding["name"]: finding for finding in json.loads(out)["findings"]}
    assert status == 0
    assert "penstock-tiny" in findings["models"]["text"]
    assert {"torch", "kernels", "cores", "memory", "disk", "port"} <= set(findings)
    assert findings["kernels"]["text"].endswith(".")


@pytest.mark.parametrize(
    ("environ", "platform", "opens"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "true"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_browser_opens_only_where_a_window_can(
    environ: dict[str, str], platform: str, opens: bool
) -> None:
    assert has_browser(environ, platform) is opens
