"""What crosses a process boundary comes back equal, in any pieces, errors with their class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import errors
from penstock.errors import PenstockError, PromptTooLong
from penstock.serving.frames import MAX_FRAME_BYTES, FrameReader, frame
from penstock.serving.messages import (
    NEWS,
    ORDERS,
    Answered,
    Beat,
    Call,
    Cancel,
    Logged,
    Outputs,
    method_of,
)
from penstock.serving.models import LoadingOptions, LoadPlan, ServedModel
from penstock.serving.plain import codec_of
from penstock.types import (
    ChosenLogprob,
    DecodingParams,
    FinishReason,
    GenerationRequest,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    Stage,
    Timings,
    TokenLogprob,
    TokensAdded,
)

NAMES = st.text(max_size=8)
NUMBERS = st.integers(-(2**63), 2**63)
FLOATS = st.floats(allow_nan=False)
BYTES = st.lists(st.integers(0, 255), max_size=2).map(tuple)
TOKENS = st.builds(TokenLogprob, token_id=NUMBERS, token=st.text(), logprob=FLOATS, utf8=BYTES)
SOME_TOKENS = st.lists(TOKENS, max_size=2).map(tuple)
STAGES = st.builds(
    Stage,
    name=NAMES,
    num_kept=NUMBERS,
    mass_kept=FLOATS,
    entropy_bits=FLOATS,
    top=SOME_TOKENS,
)
CHOSEN = st.builds(
    ChosenLogprob,
    chosen=TOKENS,
    top=SOME_TOKENS,
    stages=st.lists(STAGES, max_size=1).map(tuple),
    named=SOME_TOKENS,
)
LOGPROBS = st.lists(CHOSEN, max_size=2).map(tuple)
IDS = st.lists(NUMBERS, max_size=3).map(tuple)
OUTPUTS = st.one_of(
    st.builds(RequestStarted, request_id=NAMES),
    st.builds(TokensAdded, request_id=NAMES, token_ids=IDS, logprobs=LOGPROBS),
    st.builds(
        SequenceFinished,
        request_id=NAMES,
        finish_reason=st.sampled_from(FinishReason),
        token_ids=IDS,
        score=st.none() | FLOATS,
        logprobs=LOGPROBS,
    ),
    st.builds(
        RequestFinished,
        request_id=NAMES,
        timings=st.builds(Timings, queue_seconds=FLOATS),
        error=st.none(),
    ),
)
NEWS_OF_ALL_KINDS = st.one_of(
    st.lists(OUTPUTS, max_size=4).map(lambda outputs: Outputs(tuple(outputs))),
    st.builds(Beat, busy_seconds=FLOATS),
    st.builds(Answered, number=NUMBERS, result=st.none() | st.lists(NAMES)),
    st.builds(Logged, request_id=st.none() | NAMES),
)
REQUESTS = st.builds(
    GenerationRequest,
    request_id=NAMES,
    prompt=st.text(min_size=1) | st.lists(st.integers(0, 2**63), min_size=1).map(tuple),
    params=st.builds(
        DecodingParams,
        temperature=st.floats(0, 2),
        top_k=st.integers(0, 99),
        json_schema=st.none() | st.text(max_size=9),
        json_object=st.booleans(),
        choice=st.lists(st.text(max_size=3), max_size=3).map(tuple),
        grammar=st.none() | st.text(max_size=9),
    ),
    max_new_tokens=st.none() | st.integers(1, 9),
    max_length=st.integers(1, 9),
    min_new_tokens=st.integers(0, 9),
    num_sequences=st.integers(1, 8),
    stop=st.lists(st.text(min_size=1, max_size=3), max_size=4).map(tuple),
    seed=st.none() | st.integers(0, 2**63 - 1),
    logprobs=st.none() | st.integers(0, 20),
)


def through(codec: Any, value: Any) -> Any:
    """The value after a journey over the wire."""
    (plain,) = FrameReader().feed(frame(codec.encode(value)))
    return codec.decode(plain)


@given(NEWS_OF_ALL_KINDS)
def test_news_come_back_equal(news: Any) -> None:
    assert through(NEWS, news) == news


@given(REQUESTS)
def test_requests_come_back_equal(request: GenerationRequest) -> None:
    assert through(codec_of(GenerationRequest), request) == request


@pytest.mark.parametrize("order", [Cancel("r"), Call(number=1, method="m", arguments=[1, "a"])])
def test_orders_come_back_equal(order: Any) -> None:
    assert through(ORDERS, order) == order


def test_what_a_worker_is_told_and_tells_comes_back_equal() -> None:
    plan = LoadPlan(
        model_id="m",
        folder=Path("/some/where"),
        options=LoadingOptions(num_threads=2, dtype="bfloat16"),
    )
    model = ServedModel(
        id="m", context_length=1, hidden_size=4, num_parameters=2, dtype="x", num_bytes=3,
        weights_digest="d",
    )  # fmt: skip

    assert through(codec_of(LoadPlan), plan) == plan
    assert through(codec_of(ServedModel), model) == model


@pytest.mark.parametrize(
    "kind",
    [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, PenstockError)],
)
def test_our_errors_keep_class_words_and_field(kind: type[PenstockError]) -> None:
    finished = RequestFinished(
        request_id="r",
        num_prompt_tokens=0,
        num_completion_tokens=0,
        timings=Timings(),
        error=kind("It is so.", "Do that.", param="prompt"),
    )

    error = through(NEWS, Outputs((finished,))).outputs[0].error

    assert type(error) is kind
    assert (str(error), error.problem, error.hint, error.param) == (
        "It is so. Do that.",
        "It is so.",
        "Do that.",
        "prompt",
    )


def test_an_error_of_our_own_kind_made_elsewhere_arrives_as_the_kind_it_inherits() -> None:
    class FarTooLong(PromptTooLong):
        def __init__(self) -> None:
            super().__init__("It is far too long.", "Cut it.")

    assert type(through(codec_of(Exception), FarTooLong())) is PromptTooLong


def test_a_foreign_error_arrives_as_its_text() -> None:
    error = through(codec_of(Exception), MemoryError("no room"))

    assert (type(error), str(error)) == (RuntimeError, "no room")


@given(st.lists(st.text() | NUMBERS | st.lists(NUMBERS), max_size=5), st.integers(1, 7))
def test_frames_may_be_cut_anywhere(values: list[Any], size: int) -> None:
    sent = b"".join(map(frame, values))
    reader = FrameReader()

    received = [
        value for start in range(0, len(sent), size) for value in reader.feed(sent[start:][:size])
    ]

    assert received == values


def test_a_frame_over_the_limit_is_refused_before_it_is_gathered() -> None:
    with pytest.raises(ValueError, match="may be sent"):
        list(FrameReader().feed((MAX_FRAME_BYTES + 1).to_bytes(4, "big")))


def test_a_function_describes_the_method_it_is_called_by() -> None:
    def tokenize(self: object, text: str, more: Mapping[str, int], kind: Literal["a"]) -> list[int]:
        raise NotImplementedError

    tokenize.__annotations__.pop("self")
    method = method_of(tokenize)

    assert method.name == "tokenize"
    assert method.decode_arguments(method.encode_arguments(("x", {"y": 1}, "a"))) == (
        "x",
        {"y": 1},
        "a",
    )


@pytest.mark.parametrize("hint", [set[int], object, dict[int, str], Sequence[object]])
def test_a_kind_of_value_that_cannot_cross_is_told_when_it_is_declared(hint: Any) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        codec_of(hint)
