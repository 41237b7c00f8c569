"""A deterministic engine, and models made of it, for tests of everything above the engine.

It continues any prompt with the words of a fixed text, one per step and sequence. What the last
prompt line asks for decides how it misbehaves: see `FakeEngine`.
"""

import itertools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from penstock.engine.metrics import EngineStats
from penstock.errors import ModelGated, ModelNotFound, NotAllowed, PromptTooLong, UnsupportedModel
from penstock.model.hub_progress import DownloadProgress, Progress
from penstock.serving.adapter_info import AdapterInfo
from penstock.serving.models import HostedModel, ModelCard, ServedModel
from penstock.text.chat import Message, RenderedChat, Tokenized, TokenizerInfo
from penstock.text.tool_calls import Tool
from penstock.types import (
    ChosenLogprob,
    EngineOutput,
    FinishReason,
    GenerationRequest,
    PromptEmbedded,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    Timings,
    TokenLogprob,
    TokensAdded,
    WatermarkScore,
)

WORDS = [
    f" {word}" for word in re.split(" ", "there was a miller who had a mill by the river 🦀 and")
]
CONTEXT_LENGTH = 512
LONGEST_WORD = 1000  # of a token id
EMBEDDING_SIZE = 4
DEFAULT_SEED = 42


@dataclass(frozen=True)
class FakePrepared:
    request: GenerationRequest
    num_prompt_tokens: int
    max_new_tokens: int


def fake_prepare(request: GenerationRequest) -> FakePrepared:
    """A token is a word. Checks what the real one checks of lengths."""
    prompt = request.prompt
    num_prompt = len(prompt.split()) if isinstance(prompt, str) else len(prompt)
    total = request.max_length
    if request.max_new_tokens is not None:
        total = num_prompt + request.max_new_tokens
    if total > CONTEXT_LENGTH or (total <= num_prompt and not request.embed):
        raise PromptTooLong(
            f"{num_prompt} prompt tokens and {total} in all do not fit {CONTEXT_LENGTH}.",
            "Shorten the prompt.",
            param="prompt",
        )
    return FakePrepared(request, num_prompt, total - num_prompt)


@dataclass
class _Running:
    prepared: FakePrepared
    words: list[list[str]] = field(default_factory=list)
    is_started: bool = False


class FakeEngine:
    """Writes one word per sequence and step. Fails the step while a prompt holds `fail_on`."""

    def __init__(self, *, step_seconds: float = 0.0, fail_on: str = "EXPLODE") -> None:
        self.step_seconds = step_seconds
        self.fail_on = fail_on
        self.taken: list[GenerationRequest] = []  # every request that was ever added
        self.running: dict[str, _Running] = {}
        self.cancelled: list[str] = []
        self.num_steps = 0
        self.may_step = Event()
        self.may_step.set()

    @property
    def has_work(self) -> bool:
        return bool(self.running)

    def add(self, prepared: FakePrepared) -> None:
        self.taken.append(prepared.request)
        self.running[prepared.request.request_id] = _Running(
            prepared, [[] for _ in range(prepared.request.num_sequences)]
        )

    def cancel(self, request_id: str) -> None:
        self.cancelled.append(request_id)

    def stats(self) -> EngineStats:
        return EngineStats(
            num_running=len(self.running),
            num_waiting=0,
            num_free_blocks=8,
            num_blocks=8,
            num_steps=self.num_steps,
            num_computed_tokens=self.num_steps,
            num_cached_tokens=0,
        )

    def step(self) -> list[EngineOutput]:
        self.may_step.wait(10)
        if self.step_seconds:
            time.sleep(self.step_seconds)
        self.num_steps += 1
        if any(self.fail_on in str(r.prepared.request.prompt) for r in self.running.values()):
            raise ArithmeticError("the fake engine was asked to explode")
        outputs: list[EngineOutput] = []
        for request_id in [c for c in self.cancelled if c in self.running]:
            outputs += self._end(request_id, FinishReason.CANCELLED)
        self.cancelled.clear()
        for request_id, running in list(self.running.items()):
            outputs += self._advance(request_id, running)
        return outputs

    def _advance(self, request_id: str, running: _Running) -> list[EngineOutput]:
        outputs: list[EngineOutput] = []
        if not running.is_started:
            running.is_started = True
            outputs.append(_started(running.prepared))
        if running.prepared.request.embed:
            values = (3.0, 4.0, 0.0, 0.0)
            outputs.append(PromptEmbedded(request_id=request_id, values=values))
            return [*outputs, *self._end(request_id, FinishReason.LENGTH)]
        for index, words in enumerate(running.words):
            words.append(WORDS[len(words) % len(WORDS)])
            outputs.append(_added(running.prepared.request, index, words))
        if len(running.words[0]) == running.prepared.max_new_tokens:
            outputs += self._end(request_id, FinishReason.LENGTH)
        return outputs

    def _end(self, request_id: str, reason: FinishReason) -> list[EngineOutput]:
        running = self.running.pop(request_id)
        request = running.prepared.request
        finished = [
            SequenceFinished(
                request_id=request_id,
                index=index,
                finish_reason=reason,
                text="".join(words),
                token_ids=_ids(words),
                score=-0.5 if request.strategy == "beam_search" else None,
                logprobs=_logprobs(request, words),
                missing_words=_missing(request, "".join(words)),
            )
            for index, words in enumerate(running.words)
        ]
        return [*finished, _finished(running)]


def _missing(request: GenerationRequest, text: str) -> tuple[int, ...]:
    ways_of = enumerate(request.params.force_words)
    return tuple(i for i, ways in ways_of if not any(str(way) in text for way in ways))


def _ids(words: list[str]) -> tuple[int, ...]:
    return tuple(WORDS.index(word) for word in words)


def _logprobs(request: GenerationRequest, words: list[str]) -> tuple[ChosenLogprob, ...]:
    if request.logprobs is None:
        return ()
    return tuple(
        ChosenLogprob(
            TokenLogprob(WORDS.index(word), word, -0.25),
            tuple(
                TokenLogprob(i, WORDS[i % len(WORDS)], -1.0 - i) for i in range(request.logprobs)
            ),
        )
        for word in words
    )


def _started(prepared: FakePrepared) -> RequestStarted:
    request = prepared.request
    return RequestStarted(
        request_id=request.request_id,
        num_prompt_tokens=prepared.num_prompt_tokens,
        max_new_tokens=prepared.max_new_tokens,
        seed=DEFAULT_SEED if request.seed is None else request.seed,
        num_sequences=request.num_sequences,
    )


def _added(request: GenerationRequest, index: int, words: list[str]) -> TokensAdded:
    return TokensAdded(
        request_id=request.request_id,
        index=index,
        text=words[-1],
        token_ids=_ids(words[-1:]),
        logprobs=_logprobs(request, words[-1:]),
    )


def _finished(running: _Running) -> RequestFinished:
    return RequestFinished(
        request_id=running.prepared.request.request_id,
        num_prompt_tokens=running.prepared.num_prompt_tokens,
        num_completion_tokens=sum(map(len, running.words)),
        timings=Timings(
            queue_seconds=0.001,
            prompt_seconds=0.01,
            first_token_seconds=0.021,
            generation_seconds=0.48,
        ),
    )


def fake_text(num_tokens: int) -> str:
    """What the fake engine writes in this many steps."""
    return "".join(itertools.islice(itertools.cycle(WORDS), num_tokens))


@dataclass
class FakeKit:
    """Makes fake engines and keeps them, so that a test can look inside."""

    make: Callable[[], FakeEngine] = FakeEngine
    engines: list[FakeEngine] = field(default_factory=list)
    adapters: set[str] = field(default_factory=set)

    def prepare(self, request: GenerationRequest) -> FakePrepared:
        return fake_prepare(request)

    def make_engine(self) -> FakeEngine:
        self.engines.append(self.make())
        return self.engines[-1]

    def tokenize(self, text: str, with_ends: bool, with_specials: bool) -> Tokenized:
        words = tuple(text.split())
        return Tokenized(tuple(map(len, words)), words)

    def detokenize(self, token_ids: tuple[int, ...]) -> str:
        return " ".join("x" * min(token_id, LONGEST_WORD) for token_id in token_ids)

    def render_chat(
        self,
        messages: tuple[Message, ...],
        add_generation_prompt: bool,
        continue_last: bool,
        tools: tuple[Tool, ...],
    ) -> RenderedChat:
        text = "\n".join(f"{m.role}: {m.content}" for m in messages)
        return RenderedChat(
            text=text, token_ids=tuple(map(len, text.split())), origin="fallback", stop=()
        )

    def describe_tokenizer(self) -> TokenizerInfo:
        return TokenizerInfo(
            vocab_size=100, bos_token=None, eos_token="</s>", pad_token=None, unk_token=None,
            eos_token_ids=(0,), chat_template="", chat_template_origin="fallback",
        )  # fmt: skip

    def detect_watermark(
        self, text: str, gamma: float, key: int | None, each_pair_once: bool
    ) -> WatermarkScore:
        num = len(text.split())
        return WatermarkScore(num_tokens=num, num_scored=num, num_green=0, z_score=0.0, p_value=1.0)

    def load_adapter(self, name: str) -> None:
        self.adapters.add(name)

    def unload_adapter(self, name: str) -> None:
        self.adapters.discard(name)

    def loaded_adapters(self) -> tuple[AdapterInfo, ...]:
        return tuple(AdapterInfo(name=n, digest="d" * 64, num_bytes=7) for n in self.adapters)

    @property
    def engine(self) -> FakeEngine:
        """The engine in use."""
        return self.engines[-1]


class FakeModels:
    """Two models that load at once, one that is elsewhere and one that cannot be loaded."""

    def __init__(self, make: Callable[[], FakeEngine] = FakeEngine) -> None:
        self.kits = {name: FakeKit(make) for name in ("penstock-tiny", "other")}
        self.may_load = Event()
        self.may_load.set()
        self.added: list[ModelCard] = []
        self.may_fetch = Event()
        self.may_fetch.set()
        self.fetched: set[str] = set()
        self.num_stopped = 0

    def add(self, model_id: str) -> None:
        """One more model whose files are here."""
        self.added.append(_card(model_id, local=True))

    def cards(self) -> list[ModelCard]:
        return [
            _card("penstock-tiny", builtin=True, local=True),
            _card("other", local=True, aliases=("second",)),
            _card("elsewhere", hub_id="somebody/elsewhere", local="elsewhere" in self.fetched),
            _card("gated", hub_id="somebody/gated"),
            _card("broken", local=True),
            *self.added,
        ]

    def find(self, name: str) -> ModelCard:
        for card in self.cards():
            if name in (card.id, card.hub_id, *card.aliases):
                return card
        raise ModelNotFound(f"There is no model {name!r}.", "Use penstock-tiny.", param="model")

    def load(self, model_id: str) -> HostedModel:
        self.may_load.wait(10)
        if model_id == "broken":
            raise UnsupportedModel("The weights are a pickle.", "Convert them.")
        return HostedModel(fake_served(model_id), self.kits.setdefault(model_id, FakeKit()))

    def fetch(self, model_id: str, progress: Progress) -> None:
        """Ten pieces of 100 bytes; after the third it waits until it may go on."""
        if model_id == "gated":
            raise ModelGated("somebody/gated is gated.", "Accept its terms.", param="model")
        if model_id in self.fetched or self.find(model_id).local:
            return
        try:
            for number in range(11):
                while number == 3 and not self.may_fetch.wait(0.01):
                    progress(fake_progress(number))
                progress(fake_progress(number))
        except Exception:
            self.num_stopped += 1
            raise
        self.fetched.add(model_id)

    def remove(self, model_id: str) -> int:
        if model_id not in self.fetched:
            raise NotAllowed(f"{model_id} was not fetched.", "It stays.", param="model")
        self.fetched.discard(model_id)
        return 1000


def fake_progress(number: int) -> DownloadProgress:
    """How far the fake download is after this many of its ten pieces."""
    return DownloadProgress(
        file_name="model.safetensors",
        num_bytes=100 * number,
        total_bytes=1000,
        bytes_per_second=50.0,
    )


def fake_served(model_id: str) -> ServedModel:
    """What is known of a fake model once it is loaded."""
    return ServedModel(
        id=model_id,
        context_length=CONTEXT_LENGTH,
        hidden_size=EMBEDDING_SIZE,
        num_parameters=1000,
        dtype="float32",
        num_bytes=4000,
        weights_digest="0" * 64,
    )


def _card(model_id: str, **more: object) -> ModelCard:
    fields: dict[str, object] = {
        "id": model_id,
        "label": model_id.title(),
        "family": "gpt2",
        "description": "A fake.",
        "num_parameters": 1000,
        "context_length": CONTEXT_LENGTH,
    }
    return ModelCard(**{**fields, **more})  # type: ignore[arg-type]
