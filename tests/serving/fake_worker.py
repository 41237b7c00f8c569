"""A worker process over the fake engine: `python -m tests.serving.fake_worker FILE_DESCRIPTOR`.

What it is told to load decides what it does: `broken` is refused, `dies` ends the process, `big`
holds memory, and any other name writes the fake text, slowly enough to be disturbed.
"""

import os
import sys
from pathlib import Path

from penstock.errors import UnsupportedModel
from penstock.serving.models import HostedModel, LoadingOptions, LoadPlan
from penstock.serving.spawn import WorkerChild, spawn_worker
from penstock.serving.worker_main import end_process, prepare_process, run
from tests.fakes import FakeEngine, FakeKit, FakeModels, fake_served

COMMAND = (sys.executable, "-m", "tests.serving.fake_worker")
STEP_SECONDS = 0.01
BIG_BYTES = 200_000_000


def spawn_fake() -> WorkerChild:
    return spawn_worker(COMMAND)


def fake_plan(model_id: str) -> LoadPlan:
    return LoadPlan(model_id=model_id, folder=Path(), options=LoadingOptions(num_threads=1))


class FakePlans(FakeModels):
    """The fake models, to be loaded by fake workers. `needed` is what each is said to take."""

    def __init__(self) -> None:
        super().__init__()
        self.needed: dict[str, int] = {}

    def plan(self, model_id: str) -> LoadPlan:
        return fake_plan(model_id)

    def needed_bytes(self, model_id: str) -> int:
        return self.needed.get(model_id, 0)


class BigKit(FakeKit):
    """Holds memory that is really there."""

    ballast = b""


def load(plan: LoadPlan) -> HostedModel:
    kit = BigKit(lambda: FakeEngine(step_seconds=STEP_SECONDS))
    match plan.model_id:
        case "broken":
            raise UnsupportedModel("The weights are a pickle.", "Convert them.", param="model")
        case "surprising":
            raise ZeroDivisionError("in the loader")
        case "dies":
            os._exit(3)
        case "big":
            kit.ballast = os.urandom(1024) * (BIG_BYTES // 1024)
    return HostedModel(fake_served(plan.model_id), kit)


if __name__ == "__main__":
    prepare_process()
    end_process(run(int(sys.argv[1]), load))
