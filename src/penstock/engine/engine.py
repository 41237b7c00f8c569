"""The engine: requests go in, it steps, outputs come out. Knows no threads and no event loop."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from torch import Tensor

from penstock.decoding.sampler import answer
from penstock.engine.active_request import ActiveRequest
from penstock.engine.block_manager import BlockManager
from penstock.engine.config import EngineConfig
from penstock.engine.metrics import EngineStats
from penstock.engine.prepare import PreparedRequest
from penstock.engine.runner import Computed, Runner
from penstock.engine.scheduler import Planned, Scheduler
from penstock.errors import EngineFailed, InvalidParameter, PenstockError
from penstock.model.loading import LoadedModel
from penstock.types import EngineOutput

logger = logging.getLogger(__name__)


class Engine:
    """One model with its cache and scheduler. Not thread-safe: one owner calls everything.

    Every request that was added ends with exactly one `RequestFinished`.
    """

    def __init__(
        self,
        model: LoadedModel,
        config: EngineConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        config = config or EngineConfig()
        self._model = model
        self._clock = clock
        self._runner = Runner(model.family, config, model.adapters.ops)
        self._blocks = BlockManager(
            num_blocks=self._runner.num_blocks, block_size=config.block_size
        )
        self._scheduler: Scheduler[ActiveRequest] = Scheduler(
            self._blocks,
            max_batch_tokens=config.max_batch_tokens,
            max_sequences=config.max_sequences,
        )
        self._requests: dict[str, ActiveRequest] = {}
        self._cancelled: list[str] = []
        self._num_steps = 0
        self._masks = ThreadPoolExecutor(1, thread_name_prefix="constraint")  # starts when needed

    @property
    def has_work(self) -> bool:
        return bool(self._requests)

    def add(self, prepared: PreparedRequest) -> None:
        """Queue a request. Refuses what could never fit the cache, even alone."""
        self._check_fits(prepared)
        request = ActiveRequest(prepared, self._model.tokenizer, self._clock(), self._masks)
        self._check_model_suits(request)
        self._requests[request.request_id] = request
        self._scheduler.add(request)

    def cancel(self, request_id: str) -> None:
        """End a request at the next step. Does nothing when it is unknown or already over."""
        self._cancelled.append(request_id)

    def step(self) -> list[EngineOutput]:
        """Compute one step; return what came of it."""
        outputs = self._end_cancelled()
        plan = self._scheduler.plan()
        if plan:
            outputs += self._mark_planned(plan)
            completing = [p for p in plan if p.completes]
            scored = [(p, p.scored) for p in plan if p.scored]
            pooled = [(p, p.pooled) for p in plan if p.pooled]
            num_outputs = sum(p.num_outputs for p in plan)
            computed = self._runner.run(plan, self._blocks.take_copies())
            self._num_steps += 1
            for p, positions, rows in _shares(scored, computed.logits[num_outputs:]):
                p.request.score_prompt(p.sequence, positions, rows)
            for p, positions, rows in _shares(pooled, computed.pooled):
                p.request.pool_prompt(p.sequence, positions, rows)
            outputs += self._advance(completing, computed, num_outputs)
        return outputs

    def stats(self) -> EngineStats:
        return EngineStats(
            num_running=self._scheduler.num_running,
            num_waiting=self._scheduler.num_waiting,
            num_free_blocks=self._blocks.num_free,
            num_blocks=self._blocks.num_blocks,
            num_steps=self._num_steps,
        )

    def _check_fits(self, prepared: PreparedRequest) -> None:
        num_tokens = len(prepared.first_token_ids) + prepared.stopping.max_new_tokens
        needed = prepared.max_live_sequences * self._blocks.blocks_for(num_tokens)
        needed += self._blocks.blocks_for(len(prepared.source_token_ids or ()))
        if needed > self._blocks.num_blocks:
            raise InvalidParameter(
                f"{prepared.max_live_sequences} sequences of {num_tokens} tokens need {needed} "
                f"cache blocks; this engine has {self._blocks.num_blocks}.",
                "Use fewer beams or sequences, a shorter text, or a larger cache.",
                param="max_new_tokens",
            )

    def _check_model_suits(self, request: ActiveRequest) -> None:
        can_tell = self._runner.tells_hidden
        if any(s.keeps_hidden for s in request.live) and not can_tell:
            raise InvalidParameter(
                f"{self._model.model_id} does not tell its hidden states, as is needed here.",
                "Choose another strategy or another model.",
                param="strategy",
            )
        can_embed = can_tell and self._model.decoder_start_token_id is None
        if any(s.pools_from is not None for s in request.live) and not can_embed:
            raise InvalidParameter(
                f"{self._model.model_id} does not tell hidden states of prompts.",
                "Choose another model.",
                param="model",
            )

    def _mark_planned(self, plan: Sequence[Planned[ActiveRequest]]) -> list[EngineOutput]:
        """Announce the requests that are planned for the first time."""
        now = self._clock()
        new = {id(p.request): p.request for p in plan if p.request.stopwatch.planned_at is None}
        for request in new.values():
            request.stopwatch.mark_planned(now)
        return [request.started() for request in new.values()]

    def _advance(
        self, completing: Sequence[Planned[ActiveRequest]], computed: Computed, num_outputs: int
    ) -> list[EngineOutput]:
        """Answer what was asked of the logits and let the strategies decide."""
        if not completing:
            return []
        questions = [p.request.questions(p.sequence) for p in completing]
        answers = iter(answer(computed.logits[:num_outputs], [q for qs in questions for q in qs]))
        for planned, its_questions in zip(completing, questions, strict=True):
            its_answers = list(islice(answers, len(its_questions)))
            likeness = computed.likeness.get(planned.sequence)
            planned.request.receive(planned.sequence, its_answers, likeness)
        now = self._clock()
        outputs: list[EngineOutput] = []
        for request in {id(p.request): p.request for p in completing}.values():
            if request.has_all_results:
                outputs += self._decide(request, now)
        return outputs

    def _decide(self, request: ActiveRequest, now: float) -> list[EngineOutput]:
        """One request's decisions; what goes wrong in them ends this request only."""
        request.stopwatch.mark_token(now)
        try:
            outputs: list[EngineOutput] = [*request.decide(self._blocks)]
        except PenstockError as error:
            return [self._end(request, error)]
        except Exception:
            logger.exception("A strategy failed.", extra={"request_id": request.request_id})
            hint = "Try again; if it happens again, report the request id."
            return [self._end(request, EngineFailed("This request could not be continued.", hint))]
        return [*outputs, self._end(request)] if request.is_finished else outputs

    def _end_cancelled(self) -> list[EngineOutput]:
        cancelled, self._cancelled = self._cancelled, []
        outputs: list[EngineOutput] = []
        for request in filter(None, map(self._requests.get, cancelled)):
            outputs += [*request.cancel(), self._end(request)]
        return outputs

    def _end(self, request: ActiveRequest, error: Exception | None = None) -> EngineOutput:
        self._scheduler.remove(request)
        del self._requests[request.request_id]
        return request.finished(error)


def _shares(
    wanted: Sequence[tuple[Planned[ActiveRequest], range]], rows: Tensor
) -> Iterator[tuple[Planned[ActiveRequest], range, Tensor]]:
    """To each who wants some positions, its rows of (num_positions of all, width)."""
    start = 0
    for planned, positions in wanted:
        yield planned, positions, rows[start : start + len(positions)]
        start += len(positions)
