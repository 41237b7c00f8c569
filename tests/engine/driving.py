"""Drives an engine to the end and gathers what it gave out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.model.loading import LoadedModel
from penstock.types import (
    EngineOutput,
    GenerationRequest,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
)


@dataclass
class Result:
    """All outputs of one request, sorted by what they are."""

    started: RequestStarted | None = None
    pieces: dict[int, list[TokensAdded]] = field(default_factory=dict)
    sequences: dict[int, SequenceFinished] = field(default_factory=dict)
    finished: RequestFinished | None = None

    @property
    def token_ids(self) -> list[list[int]]:
        return [list(self.sequences[i].token_ids) for i in sorted(self.sequences)]

    @property
    def texts(self) -> list[str]:
        return [self.sequences[i].text for i in sorted(self.sequences)]

    def take(self, output: EngineOutput) -> None:
        match output:
            case RequestStarted():
                self.started = output
            case TokensAdded(index=index):
                self.pieces.setdefault(index, []).append(output)
            case SequenceFinished(index=index):
                self.sequences[index] = output
            case RequestFinished():
                assert self.finished is None, "a request ends once"
                self.finished = output


def run_all(
    model: LoadedModel,
    requests: Sequence[GenerationRequest],
    config: EngineConfig | None = None,
    *,
    arrive_every: int = 0,
) -> list[Result]:
    """Run requests on a fresh engine, one arriving every so many steps (0: all at once)."""
    engine = Engine(model, config)
    results = {request.request_id: Result() for request in requests}
    waiting = list(requests)
    step = 0
    while waiting or engine.has_work:
        while waiting and (not arrive_every or step % arrive_every == 0):
            engine.add(prepare(waiting.pop(0), model))
            if arrive_every:
                break
        for output in engine.step():
            results[output.request_id].take(output)
        step += 1
        assert step < 20_000, "the engine makes no progress"
    stats = engine.stats()
    assert stats.num_free_blocks == stats.num_blocks, "blocks were left behind"
    return [results[request.request_id] for request in requests]


def run_alone(
    model: LoadedModel, request: GenerationRequest, config: EngineConfig | None = None
) -> Result:
    return run_all(model, [request], config)[0]
