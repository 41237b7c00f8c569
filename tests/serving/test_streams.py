"""Output streams: nothing is lost or reordered however slowly they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import EngineFailed, RequestCancelled
from penstock.serving.streams import MAX_WAITING_OUTPUTS, OutputStream, coalesce
from penstock.types import (
    ChosenLogprob,
    EngineOutput,
    FinishReason,
    GenerationRequest,
    RequestFinished,
    SequenceFinished,
    Timings,
    TokenLogprob,
    TokensAdded,
)

REQUEST = GenerationRequest(request_id="r", prompt="x", model="m")
FINISHED = RequestFinished(
    request_id="r", num_prompt_tokens=1, num_completion_tokens=1, timings=Timings()
)
pieces = st.lists(st.tuples(st.integers(0, 3), st.text(max_size=3)), max_size=30)


def tokens(index: int, text: str, number: int = 0) -> TokensAdded:
    logprob = ChosenLogprob(TokenLogprob(number, text, -1.0), ())
    return TokensAdded(
        request_id="r", index=index, text=text, token_ids=(number,), logprobs=(logprob,)
    )


def sequence_finished(index: int) -> SequenceFinished:
    return SequenceFinished(
        request_id="r", index=index, finish_reason=FinishReason.STOP, text="", token_ids=()
    )


def make_stream(clock: "Clock | None" = None) -> tuple[OutputStream, list[str]]:
    cancelled: list[str] = []
    stream = OutputStream(REQUEST, lambda: cancelled.append("r"), clock=clock or Clock())
    return stream, cancelled


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(pieces)
def test_coalescing_keeps_every_sequences_text_tokens_and_logprobs(
    given_pieces: list[tuple[int, str]],
) -> None:
    outputs: list[EngineOutput] = [
        tokens(index, text, number) for number, (index, text) in enumerate(given_pieces)
    ]

    joined = coalesce([*outputs, sequence_finished(0), FINISHED])

    added = [o for o in joined if isinstance(o, TokensAdded)]
    assert len(added) == len({index for index, _ in given_pieces})
    assert joined[-2:] == [sequence_finished(0), FINISHED]
    for output in added:
        mine = [o for o in outputs if isinstance(o, TokensAdded) and o.index == output.index]
        assert output.text == "".join(o.text for o in mine)
        assert output.token_ids == tuple(o.token_ids[0] for o in mine)
        assert output.logprobs == tuple(o.logprobs[0] for o in mine)


async def test_a_reader_however_late_gets_the_whole_text_in_bounded_space() -> None:
    stream, _ = make_stream()
    for number in range(10 * MAX_WAITING_OUTPUTS):
        stream.push(tokens(number % 4, "ab", number))
    stream.push(FINISHED)

    outputs = [output async for output in stream]

    assert len(outputs) <= MAX_WAITING_OUTPUTS + 1
    for index in range(4):
        text = "".join(o.text for o in outputs if isinstance(o, TokensAdded) and o.index == index)
        assert text == "ab" * (10 * MAX_WAITING_OUTPUTS // 4)
    assert stream.is_read


async def test_a_reader_that_stalls_is_cancelled_and_told_so() -> None:
    clock = Clock()
    stream, cancelled = make_stream(clock)
    stream.push(tokens(0, "a"))
    clock.now = 29.0
    stream.push(tokens(0, "b"))
    assert cancelled == []

    clock.now = 31.0
    stream.push(tokens(0, "c"))

    assert cancelled == ["r"]
    with pytest.raises(RequestCancelled, match="The reader stalled"):
        [output async for output in stream]


async def test_a_reader_that_keeps_reading_is_never_stalled() -> None:
    clock = Clock()
    stream, cancelled = make_stream(clock)
    for _ in range(10):
        clock.now += 29.0
        stream.push(tokens(0, "a"))
        assert len(await stream.read()) == 1

    assert cancelled == []


async def test_an_error_is_raised_after_what_came_before_it() -> None:
    stream, _ = make_stream()
    stream.push(tokens(0, "a"))
    stream.fail(EngineFailed("It broke.", "Again."))
    stream.push(tokens(0, "late"))
    seen: list[EngineOutput] = []

    with pytest.raises(EngineFailed):
        async for output in stream:
            seen.append(output)

    assert seen[0] == tokens(0, "a")
    assert len(seen) == 2


@pytest.mark.parametrize(("finished", "times_cancelled"), [(False, 1), (True, 0)])
async def test_closing_cancels_once_what_is_unfinished(
    finished: bool, times_cancelled: int
) -> None:
    stream, cancelled = make_stream()
    closed: list[int] = []
    stream.on_close(lambda: closed.append(1))
    if finished:
        stream.push(FINISHED)

    stream.close()
    stream.close()

    assert (len(cancelled), len(closed)) == (times_cancelled, 1)
