"""The thread that owns an engine: carries out commands between steps, steps while there is work.

The last net below the engine's own (`engine/faults.py`): whatever a step raises all the same, every
request it held is told so, and the thread goes on with a fresh engine. Knows no event loop, no
model and no HTTP.
"""

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from penstock.engine.metrics import EngineStats
from penstock.errors import EngineFailed
from penstock.serving.adapter_info import AdapterInfo
from penstock.serving.streams import failed
from penstock.text.chat import Message, RenderedChat, Tokenized, TokenizerInfo
from penstock.text.tool_calls import Tool
from penstock.types import EngineOutput, GenerationRequest, RequestFinished, WatermarkScore

logger = logging.getLogger(__name__)

Command = Callable[[], None]
P = TypeVar("P")  # a prepared request, the engine's own kind
P_contra = TypeVar("P_contra", contravariant=True)


class EngineLike(Protocol[P_contra]):
    """What the thread drives. Nobody else touches it."""

    @property
    def has_work(self) -> bool: ...

    def add(self, prepared: P_contra) -> None: ...

    def cancel(self, request_id: str) -> None: ...

    def step(self) -> list[EngineOutput]: ...

    def stats(self) -> EngineStats: ...


class EngineKit(Protocol[P]):
    """All that it takes to run a model: how to prepare a request and how to make an engine."""

    def prepare(self, request: GenerationRequest) -> P:
        """Check and encode the request. Called from any thread."""

    def make_engine(self) -> EngineLike[P]:
        """An engine with nothing in it. Called on the engine's thread."""

    def tokenize(self, text: str, with_ends: bool, with_specials: bool) -> Tokenized:
        """The tokens of a text; see `TextFormat`. Called from any thread, as all below."""

    def detokenize(self, token_ids: tuple[int, ...]) -> str:
        """The text of the ids."""

    def render_chat(
        self,
        messages: tuple[Message, ...],
        add_generation_prompt: bool,
        continue_last: bool,
        tools: tuple[Tool, ...],
    ) -> RenderedChat:
        """A conversation as the model is used to see it."""

    def describe_tokenizer(self) -> TokenizerInfo:
        """What a client must know to tokenize as the model does."""

    def detect_watermark(
        self, text: str, gamma: float, key: int | None, each_pair_once: bool
    ) -> WatermarkScore:
        """How many tokens of a text are green for the key, the server's own where it is None."""

    def load_adapter(self, name: str) -> None:
        """Have an adapter ready. Raises why it cannot be used."""

    def unload_adapter(self, name: str) -> None:
        """Keep an adapter no longer. Requests that have it go on to their end."""

    def loaded_adapters(self) -> tuple[AdapterInfo, ...]:
        """The adapters that are ready."""


class EngineThread(threading.Thread, Generic[P]):
    """Drives one engine and gives its outputs to `post`, once per step.

    All but `start`, `call`, `busy_seconds` and `stats` are commands: they run on this thread.
    """

    def __init__(
        self, kit: EngineKit[P], post: Callable[[list[EngineOutput]], None], *, name: str
    ) -> None:
        super().__init__(name=f"engine-{name}", daemon=True)
        self._kit = kit
        self._post = post
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._engine: EngineLike[P] | None = None
        self._held: set[str] = set()
        self._stopping = False
        self._busy_since: float | None = None  # when it began the step or command it is at

    @property
    def busy_seconds(self) -> float:
        """For how long it has been at its step or command; 0 while it waits for one."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def stats(self) -> EngineStats | None:
        """What the engine says of itself, read from any thread: its counts may be a step apart."""
        engine = self._engine
        return None if engine is None else engine.stats()

    def call(self, command: Command) -> None:
        """From any thread: have `command` carried out before the next step."""
        self._commands.put(command)

    def run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:
                logger.exception("A step failed; every request in it is told so.")
                self._fail_all()

    def make_engine(self) -> None:
        """Replace whatever engine there was by one with nothing in it."""
        self._engine = None  # its memory goes before the new one's comes
        self._engine = self._kit.make_engine()

    def add(self, request_id: str, prepared: P) -> None:
        """Take a request up, or raise what it is refused for; from then on it is answered."""
        if self._engine is None:
            self.make_engine()
        assert self._engine is not None
        self._engine.add(prepared)
        self._held.add(request_id)

    def cancel(self, request_id: str) -> None:
        """Have the engine forget a request."""
        if self._engine is not None:
            self._engine.cancel(request_id)

    def stop(self) -> None:
        """End the thread after this command."""
        self._stopping = True
        self._engine = None

    def _turn(self) -> None:
        """Carry out commands, waiting for one when idle; then step once."""
        while not self._commands.empty() or self._engine is None or not self._engine.has_work:
            self._busy_since = None
            command = self._commands.get()
            self._busy_since = time.monotonic()
            command()
            if self._stopping:
                return
        self._busy_since = time.monotonic()
        outputs = self._engine.step()
        self._held -= {o.request_id for o in outputs if isinstance(o, RequestFinished)}
        if outputs:
            self._post(outputs)

    def _fail_all(self) -> None:
        """Answer every request the engine held and let the engine, whose state is unknown, go."""
        self._engine = None
        error = EngineFailed("The engine failed on this request.", "Send it again.")
        held, self._held = self._held, set()
        self._post([failed(request_id, error) for request_id in sorted(held)])
