"""The kinds of jobs there are, each with what it is asked and what does it: a line for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.api.evaluations import running as evaluations
from penstock.api.evaluations.handler import EvaluationHandler
from penstock.api.jobs.generation import check_generation
from penstock.api.services import Services
from penstock.jobs import generations
from penstock.jobs.batches import batch
from penstock.jobs.batches.asking import Asker
from penstock.jobs.batches.handler import BatchHandler
from penstock.jobs.executor import Handler
from penstock.jobs.generations import GenerationHandler
from penstock.jobs.trainings import handler as trainings
from penstock.jobs.trainings.handler import TrainingHandler


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job.

    `check` refuses a payload with `InvalidParameter`; a kind that has none is started elsewhere.
    Kinds with the same `own_place` are done one at a time, beside all others.
    """

    check: Callable[[Mapping[str, Any]], None] | None
    handler: Callable[[Services, Asker], Handler]
    own_place: str | None = None


def _batches(services: Services, asker: Asker) -> Handler:
    lasting = services.lasting
    return BatchHandler(
        storage=lasting.storage,
        queue=lasting.queue,
        files=lasting.files,
        batches=lasting.batches,
        asker=asker,
        max_line_bytes=lasting.max_line_bytes,
    )


def _generations(services: Services, asker: Asker) -> Handler:
    lasting = services.lasting
    return GenerationHandler(storage=lasting.storage, queue=lasting.queue, asker=asker)


def _trainings(services: Services, _: Asker) -> Handler:
    lasting = services.lasting
    return TrainingHandler(
        storage=lasting.storage,
        queue=lasting.queue,
        files=lasting.files,
        folders=lasting.runs,
        nice=lasting.training_nice,
        threads=lasting.training_threads,
    )


def _evaluations(services: Services, _: Asker) -> Handler:
    return EvaluationHandler(services)


KINDS: Mapping[str, Kind] = {
    generations.KIND: Kind(check_generation, _generations),
    batch.KIND: Kind(None, _batches),
    evaluations.KIND: Kind(None, _evaluations, evaluations.KIND),
    trainings.KIND: Kind(None, _trainings, trainings.PLACE),
    trainings.FINE_TUNING: Kind(None, _trainings, trainings.PLACE),
}
