"""The process of one training run of a server: trains, promotes, notes the outcome, ends.

`python -m penstock.registry.tuning FOLDER`. What is to be done stands in the folder. It ends when
told to, and when the process that started it is gone: its standard input is closed then.
"""

import fcntl
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.errors import PenstockError
from penstock.tracking.durable import write_durably
from penstock.training.recipe import Recipe

LOCK = "lock"


def main(folder: Path) -> int:
    """Carry a run out; the exit status. Whatever ends it for good is in `outcome.json`."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with _alone(folder):
        return carry_out(folder)


def carry_out(folder: Path) -> int:
    """Do what the folder says, alone in it; the exit status."""
    asked: dict[str, Any] = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
    os.nice(asked["nice"])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(asked["recipe"]["threads"])
    from penstock.training.reporter import Reporter
    from penstock.training.run import train_and_export

    recipe = Recipe.model_validate(asked["recipe"])
    outcome: dict[str, Any] = {"model": None, "problem": None}
    try:
        with Reporter() as reporter:
            status = train_and_export(recipe, reporter, command="starting it again")
        if status:
            return status
        if asked["serve_as"] is not None:
            outcome["model"] = _promoted(folder, asked, recipe)
    except PenstockError as error:
        message = str(error).replace(f"{folder}{os.sep}", "")
        outcome["problem"] = {"message": message, "code": error.code, "param": error.param}
    from penstock.training.record import read_record

    record = read_record(folder)
    outcome |= {"tokens_seen": record.get("tokens_seen"), "exported": record.get("exported")}
    write_durably(folder / "outcome.json", json.dumps(outcome, ensure_ascii=False))
    return 0


def _promoted(folder: Path, asked: dict[str, Any], recipe: Recipe) -> str:
    """Have the result served; by what id."""
    from penstock.registry.promoting import Promotion, promote
    from penstock.registry.run_folder import read_run
    from penstock.serving.models import LoadingOptions

    data_dir = Path(asked["data_dir"])
    promotion = Promotion(
        run=read_run(folder),
        name=asked["serve_as"],
        data_dir=data_dir,
        options=LoadingOptions(data_dir=data_dir, num_threads=recipe.threads or 1),
        base=asked["base"],
        forced=asked["force"],
    )
    promoted = promote(promotion, tell=lambda news: None)
    return f"{promoted.model.name}@{promoted.model.current}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until a process of an earlier attempt has let go of the folder."""
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _end_with_parent() -> None:
    while os.read(0, 1):  # not through `sys.stdin`, whose lock an exit would wait for
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
