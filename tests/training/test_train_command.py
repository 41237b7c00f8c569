"""The train command's flags: when it starts, refuses and starts afresh."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from penstock.cli.train import train
from penstock.errors import RecipeError
from tests.training.small import write_recipe

app = typer.Typer()
app.command()(train)


def test_resume_is_refused_where_there_is_nothing_to_resume(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)

    with pytest.raises(RecipeError) as refused:
        train(recipe, resume=True)

    expected = f"There is no checkpoint in {tmp_path}/run. Leave --resume out to start."
    assert str(refused.value) == expected


def test_fresh_and_resume_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        train(write_recipe(tmp_path), fresh=True, resume=True)

    assert str(refused.value) == "--fresh and --resume exclude each other. Give one of them."


def test_fresh_forgets_the_earlier_run_and_leaves_other_files_alone(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, max_steps=2)
    run = tmp_path / "run"
    (run / "checkpoint-0000009").mkdir(parents=True)
    (run / "mine.txt").touch()

    result = CliRunner().invoke(app, [str(recipe), "--fresh"])

    assert result.exit_code == 0
    assert [p.name for p in run.glob("checkpoint-*")] == ["checkpoint-0000002"]
    assert (run / "mine.txt").exists()
    assert "Done: 256 tokens seen; held-out perplexity" in result.stderr
    assert (run / "model" / "model.safetensors").is_file()
