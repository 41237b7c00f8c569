"""Brings a model up: on a thread of this process, or in a worker process of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from penstock.serving.daemon import on_daemon_thread
from penstock.serving.models import LoadPlan, ModelSource, ServedModel
from penstock.serving.process_worker import ProcessWorker
from penstock.serving.spawn import WorkerChild, spawn_worker
from penstock.serving.worker import EngineClient, Worker

Spawn = Callable[[], WorkerChild]


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A loaded model and the engine client that serves it."""

    model: ServedModel
    client: EngineClient


class Launcher(Protocol):
    """How a model gets its engine."""

    def needed_bytes(self, model_id: str) -> int:
        """About how much free memory the model needs; 0 where nobody keeps count. Reads files."""

    async def launch(self, model_id: str, on_death: Callable[[], None]) -> RunningModel:
        """Load the model; `on_death` is called if its engine should end by itself later."""

    def close(self) -> None:
        """Let go of what was made ready and never used."""


class ThreadLauncher:
    """Loads models in this process and runs each on a thread: for commands and tests."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source

    def needed_bytes(self, model_id: str) -> int:
        """Not counted."""
        return 0

    async def launch(self, model_id: str, on_death: Callable[[], None]) -> RunningModel:
        """Load the model on a thread. It lives as long as this process."""
        hosted = await on_daemon_thread(
            lambda: self._source.load(model_id), name=f"load-{model_id}"
        )
        worker = Worker(hosted.kit, name=model_id)
        await worker.start()
        return RunningModel(hosted.model, worker)

    def close(self) -> None:
        """Nothing was made ready."""


class PlanSource(Protocol):
    """Who knows what a worker must be told to load a model."""

    def plan(self, model_id: str) -> LoadPlan:
        """What to load. Raises `ModelUnavailable`."""

    def needed_bytes(self, model_id: str) -> int:
        """About how much free memory its worker needs. Raises as `plan` does."""


class ProcessLauncher:
    """Gives each model a process of its own: the one that is `ready` to the first."""

    def __init__(
        self, source: PlanSource, *, ready: WorkerChild | None = None, spawn: Spawn = spawn_worker
    ) -> None:
        self._source = source
        self._ready = ready
        self._spawn = spawn

    def needed_bytes(self, model_id: str) -> int:
        """What the worker will take."""
        return self._source.needed_bytes(model_id)

    async def launch(self, model_id: str, on_death: Callable[[], None]) -> RunningModel:
        """Load the model in a worker process."""
        plan = self._source.plan(model_id)
        child, self._ready = self._ready or self._spawn(), None
        worker = ProcessWorker(child, name=model_id, on_death=on_death)
        return RunningModel(await worker.load(plan), worker)

    def close(self) -> None:
        """End the process that waits for a model, if there is one."""
        if self._ready is not None:
            self._ready.kill()
            self._ready = None
