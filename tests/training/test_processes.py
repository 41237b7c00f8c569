"""Two processes compute what one computes, and leave one run behind."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from penstock.tracking.run_log import read_log
from penstock.training.batches import packed
from penstock.training.run import train_and_export
from tests.training.small import small_recipe, write_recipe
from tests.training.test_loop import quiet

COMMAND = "from penstock.cli.main import main; main()"


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    settings = {"max_steps": 3, "optimizer": "adamw", "gradient_accumulation_steps": 2}
    alone = small_recipe(tmp_path / "one", **settings)
    train_and_export(alone, quiet(), command="")
    script = tmp_path / "launched.py"
    script.write_text(COMMAND)
    recipe = write_recipe(tmp_path / "two", **settings)

    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(script), "train", str(recipe)),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        timeout=170,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    ours, theirs = (
        load_file(tmp_path / name / "run" / "model" / "model.safetensors")
        for name in ("one", "two")
    )
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, rtol=1e-4, atol=1e-5)
    events = read_log(tmp_path / "two" / "run" / "log.jsonl")
    assert [e["step"] for e in events if e["event"] == "train"] == [1, 2, 3]  # one of them writes


def test_a_batch_is_shared_out_by_rows() -> None:
    batch = packed(torch.arange(21).view(3, 7), 4)

    shares = [batch.share(rank, 2) for rank in range(2)]

    assert [len(share.labels) for share in shares] == [2, 1]
    assert sorted(torch.cat([s.labels for s in shares])[:, 0].tolist()) == [1, 8, 15]
    assert all(share.num_counted == 18 for share in shares)  # what the loss is divided by
