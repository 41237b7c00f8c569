"""A model that runs in this process, evaluated with its own engine, full at every step."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from penstock.evaluation.subject import IN_FLIGHT, Answered
from penstock.evaluation.timing import peak_memory_bytes
from penstock.serving.models import HostedModel, ServedModel
from penstock.types import GenerationRequest


@dataclass(frozen=True, slots=True)
class InProcess:
    """A `Subject` made of a model that was loaded here."""

    hosted: HostedModel
    adapter: str | None = None

    @property
    def model(self) -> ServedModel:
        return self.hosted.model

    def peak_bytes(self) -> int | None:
        return peak_memory_bytes()

    def start_token_id(self) -> int | None:
        described = self.hosted.kit.describe_tokenizer()
        mark = described.bos_token or described.eos_token
        if mark is None:
            return None
        token_ids = self.hosted.kit.tokenize(mark, False, True).token_ids
        return token_ids[0] if len(token_ids) == 1 else None

    def end_token_id(self) -> int | None:
        return next(iter(self.hosted.kit.describe_tokenizer().eos_token_ids), None)

    def tokenize(self, text: str) -> tuple[int, ...]:
        return self.hosted.kit.tokenize(text, False, False).token_ids

    def ask(
        self, requests: Iterable[GenerationRequest], *, in_flight: int = IN_FLIGHT
    ) -> Iterator[Answered]:
        kit = self.hosted.kit
        engine = kit.make_engine()
        to_come = iter(requests)
        open_: dict[str, Answered] = {}
        while True:
            for request in islice(to_come, in_flight - len(open_)):
                open_[request.request_id] = Answered(request.request_id)
                engine.add(kit.prepare(request))
            if not open_:
                return
            for output in engine.step():
                answered = open_[output.request_id]
                answered.take(output)
                if answered.finished is not None:
                    yield open_.pop(output.request_id)
