"""A process that forks runs and kills each at one of its writes, for `test_kills.py`.

Prints one JSON object per kill point: what was left, and whether the run that continues from it
ends with the weights of one that was never stopped.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from penstock.tracking.run_log import read_log
from penstock.training.checkpoint import latest_checkpoint, restore_checkpoint
from penstock.training.corpus import prepare_corpus
from penstock.training.reporter import Reporter
from penstock.training.run import train_and_export
from penstock.training.starting import start_training
from tests.training.small import small_recipe

WRITES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "os.truncate"}


class Writes:
    """Counts what is about to be written below a folder, and kills the process at one of them."""

    def __init__(self, folder: Path, fatal: int) -> None:
        self.count = 0
        self._folder = str(folder)
        self._fatal = fatal
        self._fsync = os.fsync
        os.fsync = self._flush
        sys.addaudithook(self._watch)

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
                self._note(path)
        elif event in WRITES:
            self._note(arguments[0])

    def _flush(self, descriptor: int) -> None:
        self._note(Path(f"/proc/self/fd/{descriptor}").readlink())
        self._fsync(descriptor)

    def _note(self, path: object) -> None:
        if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._folder):
            self.count += 1
            if self.count == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)


def forked(work: Callable[[], None]) -> int:
    """Do the work in a child and return how it ended."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def recipe_in(folder: Path) -> Any:
    folder.mkdir(exist_ok=True)
    return small_recipe(folder, max_steps=6, eval_steps=3, save_steps=2, sample_tokens=1)


def run(folder: Path) -> None:
    quiet = Reporter(Console(file=StringIO()))
    train_and_export(recipe_in(folder), quiet, command="")


def weights_of(folder: Path) -> str:
    return hashlib.sha256((folder / "run" / "model" / "model.safetensors").read_bytes()).hexdigest()


def loads(folder: Path) -> bool:
    """Whether the last checkpoint, the log and the record can be read."""
    recipe = recipe_in(folder)
    checkpoint = latest_checkpoint(recipe.run_dir)
    read_log(recipe.run_dir / "log.jsonl")
    if (recipe.run_dir / "run.json").is_file():
        json.loads((recipe.run_dir / "run.json").read_text())
    if checkpoint is not None:
        quiet = Reporter(Console(file=StringIO()))
        training = start_training(recipe, prepare_corpus(recipe), quiet)
        assert restore_checkpoint(checkpoint, training.model, training.optimizers).step > 0
    return checkpoint is not None


def main(parent: Path, num_points: int) -> None:
    torch.set_num_threads(1)
    counted = parent / "writes"

    def count() -> None:
        writes = Writes(parent / "whole" / "run", fatal=-1)
        run(parent / "whole")
        counted.write_text(str(writes.count))

    assert forked(count) == 0
    total = int(counted.read_text())
    expected = weights_of(parent / "whole")
    for number in range(num_points):
        fatal = 1 + number * (total - 1) // max(1, num_points - 1)
        folder = parent / f"killed{fatal}"

        def be_killed(folder: Path = folder, fatal: int = fatal) -> None:
            Writes(folder / "run", fatal)
            run(folder)

        status = forked(be_killed)
        outcome = {"point": fatal, "of": total, "was_killed": os.WIFSIGNALED(status)}
        outcome["loads"] = forked(lambda folder=folder: print("", end="", flush=loads(folder))) == 0
        outcome["goes_on"] = forked(lambda folder=folder: run(folder)) == 0
        outcome["is_same"] = weights_of(folder) == expected
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
