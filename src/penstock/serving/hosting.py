"""A worker's model: carries out the server's orders on an engine thread. Knows no sockets."""

import gc
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from penstock.errors import PenstockError, RequestCancelled
from penstock.serving.engine_thread import EngineThread
from penstock.serving.frames import FrameReader
from penstock.serving.messages import (
    KIT_METHODS,
    LOAD,
    ORDERS,
    STOP,
    SUBMIT,
    Answered,
    Beat,
    Call,
    Cancel,
    Method,
    Order,
    Outputs,
    Refused,
)
from penstock.serving.models import HostedModel, LoadPlan, ServedModel
from penstock.serving.post import Post
from penstock.types import EngineOutput, GenerationRequest

logger = logging.getLogger(__name__)

Loader = Callable[[LoadPlan], HostedModel]
NUM_PREPARING = 4  # prompts that are tokenized side by side


class Host:
    """Owns the engine thread. Orders come in on one thread; what is slow runs on others."""

    def __init__(self, load: Loader, post: Post) -> None:
        self._load = load
        self._post = post
        self._reader = FrameReader()
        self._others = ThreadPoolExecutor(NUM_PREPARING, thread_name_prefix="prepare")
        self._hosted: HostedModel | None = None
        self._thread: EngineThread[Any] | None = None
        self._preparing: set[str] = set()  # requests that were not cancelled so far
        self.is_stopped = False

    def receive(self, received: bytes) -> None:
        """Carry out the orders in these bytes, or have them carried out."""
        for plain in self._reader.feed(received):
            self._carry_out(ORDERS.decode(plain))

    def stop(self) -> None:
        """End the engine's thread after its current step."""
        self.is_stopped = True
        if self._thread is not None:
            self._thread.call(self._thread.stop)

    def _carry_out(self, order: Order) -> None:
        match order:
            case Cancel(request_id):
                self._cancel(request_id)
            case Call(number=number, method=LOAD.name, arguments=plain):
                plan: LoadPlan = LOAD.decode_arguments(plain)[0]
                self._answer(number, LOAD, lambda: self._load_model(plan))
            case Call(number=number, method=SUBMIT.name, arguments=plain):
                self._submit(number, SUBMIT.decode_arguments(plain)[0])
            case Call(number=number, method=STOP.name):
                self.stop()
                self._post.put(Answered(number, None))
            case Call(number=number, method=name, arguments=plain):
                method = KIT_METHODS[name]
                arguments = method.decode_arguments(plain)
                self._answer(number, method, lambda: self._call_kit(name, arguments))

    def _answer(self, number: int, method: Method, work: Callable[[], Any]) -> None:
        """Carry out `work` on another thread and send its result or its error."""

        def run() -> None:
            try:
                self._post.put(Answered(number, method.result.encode(work())))
            except Exception as error:
                self._refuse(number, error)

        self._others.submit(run)

    def _refuse(self, number: int, error: Exception) -> None:
        if not isinstance(error, PenstockError):
            logger.error("A call failed.", exc_info=error)
        self._post.put(Refused(number, error))

    def _load_model(self, plan: LoadPlan) -> ServedModel:
        """Load the model and make its engine."""
        hosted = self._load(plan)
        thread = EngineThread(hosted.kit, self._send_outputs, name=plan.model_id)
        thread.start()
        _on_thread(thread, thread.make_engine)
        self._hosted, self._thread = hosted, thread
        self._post.pulse = lambda: Beat(thread.busy_seconds, thread.stats)
        gc.freeze()  # what is there now stays: to look through it again held up steps
        return hosted.model

    def _call_kit(self, name: str, arguments: tuple[Any, ...]) -> Any:
        assert self._hosted is not None
        return getattr(self._hosted.kit, name)(*arguments)

    def _submit(self, number: int, request: GenerationRequest) -> None:
        """Prepare a request beside the engine; the engine takes it up between two steps."""
        assert self._hosted is not None
        assert self._thread is not None
        kit, thread = self._hosted.kit, self._thread
        self._preparing.add(request.request_id)

        def prepare() -> None:
            try:
                prepared = kit.prepare(request)
            except Exception as error:
                self._preparing.discard(request.request_id)
                self._refuse(number, error)
            else:
                thread.call(lambda: self._take_up(number, request.request_id, prepared))

        self._others.submit(prepare)

    def _take_up(self, number: int, request_id: str, prepared: Any) -> None:
        """On the engine's thread, where cancellations arrive too."""
        assert self._thread is not None
        try:
            if request_id not in self._preparing:
                raise RequestCancelled("The request was cancelled.", "Send it again.")
            self._preparing.discard(request_id)
            self._thread.add(request_id, prepared)
        except Exception as error:
            self._refuse(number, error)
        else:
            self._post.put(Answered(number, None))

    def _cancel(self, request_id: str) -> None:
        thread = self._thread
        if thread is None:
            return

        def cancel() -> None:
            self._preparing.discard(request_id)
            thread.cancel(request_id)

        thread.call(cancel)

    def _send_outputs(self, outputs: list[EngineOutput]) -> None:
        """On the engine's thread: one message for all outputs of a step."""
        self._post.put(Outputs(tuple(outputs)))


def _on_thread(thread: EngineThread[Any], action: Callable[[], None]) -> None:
    """Carry out `action` on the engine's thread, wait until it is done, raise what it raised."""
    done = threading.Event()
    errors: list[Exception] = []

    def run() -> None:
        try:
            action()
        except Exception as error:
            errors.append(error)
        done.set()

    thread.call(run)
    done.wait()
    if errors:
        raise errors[0]
