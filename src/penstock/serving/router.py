"""From a model's name and a prompt to a stream of outputs: admission, loading, submission, drain.

Knows no HTTP. What is closed gives its place back, however it ended.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from penstock.serving.adapter_info import AdapterInfo
from penstock.serving.admission import Admission
from penstock.serving.callers import BYTES_PER_TOKEN, Taking, caller
from penstock.serving.launching import RunningModel
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.model_texts import ModelTexts
from penstock.serving.models import ServedModel
from penstock.serving.observing import Ended, Observer, Written
from penstock.serving.response_cache.cache import ResponseCache
from penstock.serving.streams import OutputStream
from penstock.types import GenerationRequest

POLL_SECONDS = 0.02
BuildRequest = Callable[[ServedModel], GenerationRequest]


@dataclass(frozen=True, slots=True)
class Generation:
    """A request on its way: the model that runs it and the stream of its outputs."""

    model: ServedModel
    request: GenerationRequest
    outputs: OutputStream
    is_cached: bool = False  # computed for an earlier request


class Router:
    """Finds the engine for each request and keeps the number under way within bounds."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        admission: Admission,
        cache: ResponseCache | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        self._lifecycle = lifecycle
        self._admission = admission
        self._cache = cache or ResponseCache()
        self._observers = tuple(observers)

    async def submit(
        self,
        name: str,
        num_sequences: int,
        build: BuildRequest,
        *,
        keep_alive_seconds: float | None = None,
        may_repeat: bool = False,
    ) -> Generation:
        """Admit a request and start it. The caller must close the outputs."""
        ticket = self._admission.enter(num_sequences)
        try:
            generation = await self.start(
                name, build, keep_alive_seconds=keep_alive_seconds, may_repeat=may_repeat
            )
        except BaseException:
            ticket.release()
            raise
        generation.outputs.on_close(ticket.release)
        return generation

    async def start(
        self,
        name: str,
        build: BuildRequest,
        *,
        keep_alive_seconds: float | None = None,
        may_repeat: bool = False,
    ) -> Generation:
        """Load the model if need be, build the request for it and submit it.

        With `may_repeat` an answer that was computed before will do, where it must come out the
        same. For who holds a ticket already. The caller must close the outputs.
        """
        running = await self._lifecycle.running(name, keep_alive_seconds=keep_alive_seconds)
        request = replace(build(running.model), tenant=caller().name)
        taking = await caller().allowance.take(most_tokens(request))
        try:
            return await self._answered(running, request, taking, may_repeat=may_repeat)
        except BaseException:
            taking.settle(0)
            raise

    async def _answered(
        self,
        running: RunningModel,
        request: GenerationRequest,
        taking: Taking,
        *,
        may_repeat: bool,
    ) -> Generation:
        """From the answers that are kept, or from the engine."""
        is_kept = may_repeat and self._cache.may_keep(request, running.model)
        if is_kept and caller().reads_cache:
            found = await self._found(request, running)
            caller().was_cached = found is not None
            if found is not None:
                caller().begin()
                self._observe(running.model, found, taking, is_cached=True)
                return Generation(running.model, request, found, is_cached=True)
        outputs = await running.client.submit(request)
        outputs.on_start(caller().begin)
        self._observe(running.model, outputs, taking)
        if is_kept and caller().writes_cache:
            self._cache.note(outputs, running.model)
        return Generation(running.model, request, outputs)

    async def close(self) -> None:
        """Let go of the answers that were kept."""
        await self._cache.close()

    async def _found(
        self, request: GenerationRequest, running: RunningModel
    ) -> OutputStream | None:
        digest = None
        if request.adapter is not None:  # its files decide, not its name
            infos: Sequence[AdapterInfo] = await running.client.call("loaded_adapters")
            digests = {info.name: info.digest for info in infos}
            if request.adapter not in digests:
                return None
            digest = digests[request.adapter]
        return await self._cache.find(request, running.model, digest)

    async def texts(self, name: str, *, keep_alive_seconds: float | None = None) -> ModelTexts:
        """What can be asked of a model besides generating, the model loaded first if need be."""
        running = await self._lifecycle.running(name, keep_alive_seconds=keep_alive_seconds)
        return ModelTexts(running.model, running.client)

    def _observe(
        self,
        model: ServedModel,
        outputs: OutputStream,
        taking: Taking,
        *,
        is_cached: bool = False,
    ) -> None:
        """Have the observers told when the stream is closed, and what was not used given back."""
        begun_at = time.monotonic()
        who = caller()
        written = Written(keeps_texts=who.keeps_history)
        outputs.on_output(written.take)

        def tell() -> None:
            ended = Ended(
                model_id=model.id,
                request=outputs.request,
                seconds=time.monotonic() - begun_at,
                finished=outputs.last,
                is_cached=is_cached,
                caller=who,
                model=model,
                written=written,
            )
            taking.settle(ended.used.num_tokens)
            for observe in self._observers:
                observe(ended)

        outputs.on_close(tell)

    async def drain(self, *, timeout_seconds: float) -> bool:
        """Take nothing new and wait for what is under way; whether all of it finished in time."""
        self._admission.drain()
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._admission.num_in_flight:
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            return False
        return True


def most_tokens(request: GenerationRequest) -> int:
    """How many tokens a request may come to. Those of a text can only be guessed from its size."""
    prompt = request.prompt
    if isinstance(prompt, str):
        num_prompt = -(-len(prompt.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)
    else:
        num_prompt = len(prompt)
    if request.embed:
        return num_prompt
    most = request.max_new_tokens
    if most is None:
        most = max(0, request.max_length - num_prompt)
    return num_prompt + most * request.num_sequences
