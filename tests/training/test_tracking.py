"""Every tracker holds what the run's own log holds; one that fails does not stop the run."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from penstock.errors import RecipeError
from penstock.tracking.run_log import RunLog, read_log
from penstock.tracking.tracker import TrackedRun, Trackers, start_trackers
from penstock.training.record import read_record
from penstock.training.reporter import Reporter
from penstock.training.run import train_and_export
from tests.training.small import small_recipe
from tests.training.test_loop import quiet


def tracked(folder: Path) -> TrackedRun:
    return TrackedRun(name="small", project="penstock", folder=folder, config={"a": 1}, step=0)


def test_tensorboard_files_hold_the_run(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = small_recipe(tmp_path, trackers=["tensorboard"])
    train_and_export(recipe, quiet(), command="")

    read = EventAccumulator(str(recipe.run_dir / "tensorboard"))
    read.Reload()
    logged = read_log(recipe.run_dir / "log.jsonl")
    for name, event, key in (
        ("train/loss", "train", "loss"),
        ("train/gradient_norm", "train", "gradient_norm"),
    ):
        ours = [(e["step"], pytest.approx(e[key], abs=1e-3)) for e in logged if e["event"] == event]
        assert [(scalar.step, scalar.value) for scalar in read.Scalars(name)] == ours
    assert len(read.Scalars("validation/loss")) == 2
    assert any("Once upon a time" in tag for tag in read.Tags()["tensors"])


@pytest.mark.filterwarnings("ignore")  # wandb's own
def test_weights_and_biases_offline_holds_the_run_and_its_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    (tracker,) = start_trackers(["wandb"], tracked(tmp_path))
    tracker.log(1, {"train/loss": 2.5})
    tracker.sample(1, "Once", "Once upon a crocodile")
    tracker.finish()

    folder = next((tmp_path / "wandb").glob("offline-run-*"))
    stored = next(folder.glob("run-*.wandb"))
    deadline = time.monotonic() + 60  # its own process writes the file
    while b"train/loss" not in stored.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert b"2.5" in stored.read_bytes()
    table = next((folder / "files").rglob("*.table.json")).read_text()
    assert "Once upon a crocodile" in table


def test_a_tracker_that_is_not_installed_is_refused_by_name(tmp_path: Path) -> None:
    from penstock.tracking import tracker

    if tracker.find_spec("trackio") is not None:
        pytest.skip("trackio is installed here")
    with pytest.raises(RecipeError, match=r"trackio is not installed.*penstock\[trackio\]"):
        start_trackers(["trackio"], tracked(tmp_path))


class Failing:
    """A tracker whose server is gone."""

    def log(self, step: int, values: object) -> None:
        raise ConnectionError("gone")

    def sample(self, step: int, prompt: str, text: str) -> None:
        raise AssertionError("left out already")

    def finish(self) -> None:
        raise AssertionError("left out already")


def test_a_tracker_that_fails_is_left_out_and_said_so() -> None:
    said: list[str] = []
    trackers = Trackers([Failing()], said.append)

    trackers.log(1, {"loss": 1.0})
    trackers.sample(1, "a", "b")
    trackers.finish()

    assert said == ["Failing failed and is left out from here on (gone)."]


def test_a_run_leaves_a_record_and_a_report_of_one_file(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, sample_prompts=["<b>Once"])

    train_and_export(recipe, quiet(), command="")

    record = read_record(recipe.run_dir)
    assert (record["status"], record["step"], record["method"]) == ("finished", 8, "scratch")
    assert record["output"] == "model"
    assert len(record["data_digest"]) == 64
    report = (recipe.run_dir / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;Once" in report
    assert "<b>Once" not in report
    assert "data:image/png;base64," in report
    assert "http" not in report.replace("http-equiv", "")
    assert "learning_rate: 0.003" in report


def test_a_check_reports_on_data_and_time_and_trains_nothing(tmp_path: Path) -> None:
    from penstock.training.run import check

    recipe = small_recipe(tmp_path)
    screen = io.StringIO()

    check(recipe, Reporter(Console(file=screen, width=200)))

    assert "Data report" in screen.getvalue()
    assert "8 steps of" in screen.getvalue()
    assert not list(recipe.run_dir.glob("checkpoint-*"))


def test_a_log_that_was_cut_off_is_read_up_to_there_and_mended(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    for step in (1, 2, 3):
        log.write("train", step, loss=1.0)
    with log.path.open("a") as file:
        file.write('{"event": "train", "st')

    assert [event["step"] for event in read_log(log.path)] == [1, 2, 3]
    log.forget_after(2)

    assert [event["step"] for event in read_log(log.path)] == [1, 2]
    assert log.path.read_text().endswith("}\n")
