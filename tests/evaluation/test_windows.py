"""Windows over a long text: every token is foretold once, with what came before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import EvaluationError
from penstock.evaluation.windows import Window, windows


@given(
    num_tokens=st.integers(0, 60),
    context_length=st.integers(2, 12),
    stride=st.none() | st.integers(1, 11),
)
def test_every_token_but_the_first_is_scored_once_and_in_order(
    num_tokens: int, context_length: int, stride: int | None
) -> None:
    if stride is not None and stride >= context_length:
        return
    found = list(windows(num_tokens, context_length=context_length, stride=stride))

    scored = [place for w in found for place in range(w.scored_from, w.end)]
    assert scored == list(range(1, num_tokens))
    for window in found:
        assert window.start < window.scored_from < window.end <= num_tokens
        assert window.end - window.start <= context_length
    if stride is not None:
        assert [w.start for w in found] == [stride * n for n in range(len(found))]


def test_windows_by_hand() -> None:
    side_by_side = list(windows(7, context_length=4, stride=None))
    strided = list(windows(7, context_length=4, stride=2))

    assert side_by_side == [Window(0, 1, 4), Window(3, 4, 7)]
    assert strided == [Window(0, 1, 4), Window(2, 4, 6), Window(4, 6, 7)]


@pytest.mark.parametrize("stride", [0, 4, 9])
def test_a_stride_that_would_leave_tokens_out_is_refused(stride: int) -> None:
    with pytest.raises(EvaluationError, match=rf"stride={stride} .*Use 1 to 3"):
        list(windows(7, context_length=4, stride=stride))
