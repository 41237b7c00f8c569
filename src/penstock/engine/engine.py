"""The engine: requests go in, it steps, outputs come out. Knows no threads and no event loop."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from penstock.engine.active_request import ActiveRequest
from penstock.engine.block_manager import BlockManager
from penstock.engine.computing import compute
from penstock.engine.config import EngineConfig
from penstock.engine.drafter import Drafter, Wanted
from penstock.engine.faults import blame
from penstock.engine.metrics import EngineStats
from penstock.engine.prefixes import PrefixCache
from penstock.engine.prepare import PreparedRequest
from penstock.engine.runner import Runner
from penstock.engine.scheduler import Planned, Scheduler
from penstock.engine.waiting import WaitingRoom
from penstock.errors import InvalidParameter, PenstockError, ServerBusy
from penstock.model.loading import LoadedModel
from penstock.types import EngineOutput, SequenceFinished

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
            num_blocks=self._runner.num_blocks,
            block_size=config.block_size,
            prefixes=_prefixes(config, self._runner.num_blocks),
        )
        self._scheduler: Scheduler[ActiveRequest] = Scheduler(
            self._blocks,
            max_batch_tokens=config.max_batch_tokens,
            max_sequences=config.max_sequences,
        )
        self._drafter = _drafter(model, config)
        self._requests: dict[str, ActiveRequest] = {}
        self._cancelled: list[str] = []
        self._waiting_room = WaitingRoom()
        self._max_wait_seconds = config.max_wait_seconds
        self._num_steps = self._num_computed_tokens = self._num_cached_tokens = 0
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
        outputs = self._end_cancelled() + self._end_late()
        plan = self._scheduler.plan()
        outputs += self._mark_planned(plan)
        if plan:
            self._runner.copy_blocks(self._blocks.take_copies())
            self._num_steps += 1
            self._num_computed_tokens += sum(p.num_tokens for p in plan)
            completing = {p.request: None for p in plan if p.completes}
            failures = compute(plan, self._runner, self._model.chooser)
            outputs += [self._fail(request, error) for request, error in failures.items()]
            outputs += self._decide_all(
                request for request in completing if request not in failures
            )
        self._draft()
        return outputs

    def _draft(self) -> None:
        """Have the draft model guess for those who want that."""
        if self._drafter is None:
            return
        requests = self._requests.values()
        self._drafter.keep_only({sequence for r in requests for sequence in r.live})
        wanted = [Wanted(r, sequence, n) for r in requests for sequence, n in r.take_drafts()]
        if wanted:
            self._drafter.guess(wanted)

    def stats(self) -> EngineStats:
        return EngineStats(
            num_running=self._scheduler.num_running,
            num_waiting=self._scheduler.num_waiting,
            num_free_blocks=self._blocks.num_free,
            num_blocks=self._blocks.num_blocks,
            num_steps=self._num_steps,
            num_computed_tokens=self._num_computed_tokens,
            num_cached_tokens=self._num_cached_tokens,
        )

    def _check_fits(self, prepared: PreparedRequest) -> None:
        beginnings = (prepared.first_token_ids, prepared.shadow_token_ids)
        lengths = [len(b) + prepared.stopping.max_new_tokens for b in beginnings if b is not None]
        num_live = prepared.max_live_sequences
        needed = num_live * sum(self._blocks.blocks_for(length) for length in lengths)
        needed += self._blocks.blocks_for(prepared.num_source_tokens) + len(lengths) - 1
        if needed > self._blocks.num_blocks:
            raise InvalidParameter(
                f"{num_live * len(lengths)} sequences of {max(lengths)} tokens need {needed} "
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
        """Announce who is planned for the first time, and tell those who wait their place."""
        now = self._clock()
        new = {p.request: None for p in reversed(plan) if not p.request.has_started}
        for planned in plan:
            self._num_cached_tokens += planned.request.note_cached(planned.sequence)
        for request in new:
            request.stopwatch.mark_planned(now)
        self._waiting_room.take_up(len(new), now)
        queued = self._waiting_room.tell(self._scheduler.waiting, now)
        return [*(request.started() for request in reversed(new)), *queued]

    def _decide_all(self, requests: Iterable[ActiveRequest]) -> list[EngineOutput]:
        """Let the strategies of those who have all their logits decide."""
        now = self._clock()
        outputs: list[EngineOutput] = []
        for request in requests:
            if request.has_all_results:
                outputs += self._decide(request, now)
        return outputs

    def _decide(self, request: ActiveRequest, now: float) -> list[EngineOutput]:
        """One request's decisions; what goes wrong in them ends this request only."""
        request.stopwatch.mark_token(now)
        request.note_time(now)
        for sequence in request.live:
            self._blocks.publish(sequence)
        try:
            outputs = request.decide(self._blocks)
        except Exception as error:
            return [self._fail(request, error)]
        return [*outputs, self._end(request)] if request.is_finished else outputs

    def _end_cancelled(self) -> list[EngineOutput]:
        cancelled, self._cancelled = self._cancelled, []
        outputs: list[EngineOutput] = []
        for request in filter(None, map(self._requests.get, cancelled)):
            outputs += self._end_texts(request, request.cancel)
        return outputs

    def _end_late(self) -> list[EngineOutput]:
        """End what has waited too long, and what is late and cannot end its texts by itself."""
        now = self._clock()
        late = [r for r in self._requests.values() if r.note_time(now) and r.can_be_cut_short]
        outputs: list[EngineOutput] = []
        for request in late:
            outputs += [] if request.has_started else [request.started()]
            outputs += self._end_texts(request, request.end_late)
        return outputs + [self._turn_away(r) for r in self._who_waits_too_long(now)]

    def _who_waits_too_long(self, now: float) -> list[ActiveRequest]:
        longest = self._max_wait_seconds
        if longest is None:
            return []
        waiting = [r for r in self._requests.values() if not r.has_started]
        return [r for r in waiting if now - r.stopwatch.submitted_at > longest]

    def _turn_away(self, request: ActiveRequest) -> EngineOutput:
        error = ServerBusy(
            f"The request has waited {self._max_wait_seconds:g} s for a place.",
            "Send it again when the server has less to do.",
        )
        return self._end(request, error)

    def _end_texts(
        self, request: ActiveRequest, end: Callable[[], list[SequenceFinished]]
    ) -> list[EngineOutput]:
        try:
            return [*end(), self._end(request)]
        except Exception as error:
            return [self._fail(request, error)]

    def _fail(self, request: ActiveRequest, error: Exception) -> EngineOutput:
        """End the request that a failure is pinned on."""
        if not isinstance(error, PenstockError):
            extra = {"request_id": request.request_id}
            logger.error("A request failed alone.", exc_info=error, extra=extra)
        return self._end(request, blame(error))

    def _end(self, request: ActiveRequest, error: Exception | None = None) -> EngineOutput:
        self._scheduler.remove(request)
        del self._requests[request.request_id]
        return request.finished(error)


def _drafter(model: LoadedModel, config: EngineConfig) -> Drafter | None:
    if model.draft is None:
        return None
    return Drafter(model.draft, config, vocab_size=model.vocab_size)


def _prefixes(config: EngineConfig, num_blocks: int) -> PrefixCache | None:
    if not config.prefix_cache:
        return None
    return PrefixCache(max_idle=int(config.idle_share * num_blocks))
