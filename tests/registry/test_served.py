"""A server that runs all the while: it offers what is promoted, and what was before, at once."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.registry.runs import write_adapter_run, write_base, write_model_run
from tests.server_process import running_server

PENSTOCK = (sys.executable, "-c", "from penstock.cli.main import main; main()")


def asked(url: str, body: object = None) -> Any:
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())


def written(url: str) -> tuple[str, str]:
    """The model that answered, and what it wrote."""
    body = {"prompt": "Once", "model": "story", "strategy": "greedy", "max_new_tokens": 12}
    answer = asked(f"{url}/generate", body)
    return answer["model"], answer["sequences"][0]["text"]


def test_promoted_and_rolled_back_without_a_restart(
    penstock: Run, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = bare / "data" / "penstock"
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(data_dir))
    base = write_base(bare / "base")
    write_adapter_run(bare / "runs" / "first", base)
    write_model_run(bare / "runs" / "second", seed=9)
    environment = {"PENSTOCK_DATA_DIR": str(data_dir), "PENSTOCK_THREADS": "1"}

    with running_server(
        PENSTOCK, "--no-browser", "--model", str(base), folder=bare, environment=environment
    ) as server:
        names = [model["id"] for model in asked(f"{server.url}/models")["models"]]
        assert "story@1" not in names

        status, printed, news = penstock(
            "runs", "promote", "first", "--as", "story", "--tasks", "perplexity", "--force",
            "--json",
        )  # fmt: skip
        assert status == 0, news
        assert "story is served as version 1" in news and "agrees with what was trained" in news
        assert json.loads(printed)["id"] == "story@1"
        first = written(server.url)
        models = {model["id"]: model for model in asked(f"{server.url}/models")["models"]}
        assert models["story@1"]["lineage"]["run"] == "first"
        assert models["story@1"]["lineage"]["metrics"]["perplexity"]["value"] > 1
        assert models["penstock-tiny"]["lineage"] is None

        assert penstock("runs", "promote", "second", "--as", "story", "--force")[0] == 0
        second = written(server.url)
        status, _, news = penstock("runs", "rollback", "story")
        again = written(server.url)
        old = asked(f"{server.url}/models/story%402")
        listed = asked(f"{server.url}/models")["models"]

    assert (first[0], second[0], again) == ("story@1", "story@2", first)
    assert first[1] != second[1]
    assert (status, news) == (0, "story is served as version 1 again.\n")
    assert old["lineage"]["base"] == "story@1"
    assert [model["id"] for model in listed if "story" in model["aliases"]] == ["story@1"]


def test_runs_are_listed_and_shown(
    penstock: Run, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(bare / "data"))
    write_model_run(bare / "runs" / "story")

    listed = json.loads(penstock("runs", "list", "--json")[1])
    shown = penstock("runs", "show", "story")[1]
    assert [run["name"] for run in listed["runs"]] == ["story"] and listed["models"] == []
    assert "unfinished" not in shown and "3.25" in shown

    status, printed, _ = penstock("runs", "promote", "runs/story", "--tasks", "perplexity")
    assert status == 0 and "| model | perplexity |" in printed
    _, table, news = penstock("runs", "list")
    assert "story@1" in table and "story: version 1 is served, of 1." in news
    assert "story@1" in penstock("models", "list")[1]
    assert "perplexity" in penstock("runs", "show", "story", "--json")[1]
    generated = penstock("generate", "Once", "--model", "story", "--max-new-tokens", "4", "--json")
    assert json.loads(generated[1])["model"] == "story@1"
    status, _, news = penstock("runs", "rollback", "story")
    assert status == 1 and "no version before 1" in news
    assert penstock("runs", "show", "gone")[0] == 4
