"""Which loads are measured, and how large a run is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.load import Load, Prompt

NUM_STREAMS = 16
LONG_PROMPT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long a measurement takes: the lengths of texts and the number of rounds."""

    rounds: int
    prompt_tokens: int
    new_tokens: int
    tokens_between_arrivals: int


FULL = Size(rounds=5, prompt_tokens=64, new_tokens=64, tokens_between_arrivals=2)
QUICK = Size(rounds=2, prompt_tokens=64, new_tokens=40, tokens_between_arrivals=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A load by name: how many streams, and after how many of the first's tokens each arrives."""

    title: str
    num_streams: int
    arrivals: Callable[[Size], tuple[int, ...]]
    own_prompt_tokens: int | None = None  # the size's otherwise
    own_new_tokens: int | None = None

    def prompt_tokens(self, size: Size) -> int:
        return size.prompt_tokens if self.own_prompt_tokens is None else self.own_prompt_tokens

    @property
    def needs_arrivals(self) -> bool:
        return any(self.arrivals(FULL))

    def load(self, prompts: tuple[Prompt, ...], size: Size) -> Load:
        return Load(
            prompts=prompts[: self.num_streams],
            arrivals=self.arrivals(size),
            new_tokens=size.new_tokens if self.own_new_tokens is None else self.own_new_tokens,
        )


CASES: Mapping[str, Case] = {
    "one": Case(title="1 stream", num_streams=1, arrivals=lambda _: (0,)),
    "together": Case(
        title="16 streams, all at once",
        num_streams=NUM_STREAMS,
        arrivals=lambda _: (0,) * NUM_STREAMS,
    ),
    "staggered": Case(
        title="16 streams, one after the other",
        num_streams=NUM_STREAMS,
        arrivals=lambda size: tuple(i * size.tokens_between_arrivals for i in range(NUM_STREAMS)),
    ),
    "prefill": Case(
        title="1 long prompt",
        num_streams=1,
        arrivals=lambda _: (0,),
        own_prompt_tokens=LONG_PROMPT,
        own_new_tokens=4,
    ),
    "newcomer": Case(
        title="1 stream joins 15 that run",
        num_streams=NUM_STREAMS,
        arrivals=lambda size: (0,) * (NUM_STREAMS - 1) + (size.new_tokens // 3,),
    ),
}
