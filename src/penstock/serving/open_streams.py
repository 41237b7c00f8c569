"""The streams of one engine's unfinished requests. Lives on the event loop; knows no engine."""

from collections.abc import Callable, Iterable

from penstock.serving.streams import OutputStream
from penstock.types import EngineOutput, GenerationRequest, RequestFinished


class OpenStreams:
    """Gives each output to the stream it belongs to, and forgets a stream after its last one."""

    def __init__(self) -> None:
        self._streams: dict[str, OutputStream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._streams

    def open(self, request: GenerationRequest, cancel: Callable[[str], None]) -> OutputStream:
        """A stream for a request that is about to be submitted."""
        stream = OutputStream(request, lambda: cancel(request.request_id))
        self._streams[request.request_id] = stream
        return stream

    def forget(self, request_id: str) -> None:
        """Drop the stream of a request that was refused."""
        self._streams.pop(request_id, None)

    def deliver(self, outputs: Iterable[EngineOutput]) -> None:
        """Hand the outputs of a step over. Those of requests nobody waits for are dropped."""
        for output in outputs:
            stream = self._streams.get(output.request_id)
            if stream is None:
                continue
            stream.push(output)
            if isinstance(output, RequestFinished):
                del self._streams[output.request_id]

    def fail(self, error: Exception) -> None:
        """Tell every request that is open so."""
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.fail(error)
