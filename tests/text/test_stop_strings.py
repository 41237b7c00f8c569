"""Stop strings: the cut does not depend on how the text arrives, and nothing of one leaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.text.stop_strings import StopStringCutter

LETTERS = st.sampled_from("ab\n")
STOPS = st.lists(st.text(LETTERS, min_size=1, max_size=4), max_size=4).map(tuple)
PIECES = st.lists(st.text(LETTERS, max_size=6), max_size=8)


def cut(stop: tuple[str, ...], pieces: list[str]) -> tuple[str, bool]:
    """Everything that comes out, and whether a stop string was found."""
    cutter = StopStringCutter(stop)
    shown, matched = "", False
    for piece in pieces:
        safe, matched = cutter.push(piece)
        shown += safe
    return shown + cutter.flush(), matched


def expected(stop: tuple[str, ...], text: str) -> tuple[str, bool]:
    """The same, reading one more character at a time until a stop string is complete."""
    for end in range(1, len(text) + 1):
        ending = [s for s in stop if text[:end].endswith(s)]
        if ending:
            return text[: end - max(map(len, ending))], True
    return text, False


@given(stop=STOPS, pieces=PIECES)
def test_the_cut_is_the_same_however_the_text_is_split(
    stop: tuple[str, ...], pieces: list[str]
) -> None:
    assert cut(stop, pieces) == expected(stop, "".join(pieces))


@given(stop=STOPS, pieces=PIECES)
def test_nothing_shown_is_ever_taken_back(stop: tuple[str, ...], pieces: list[str]) -> None:
    cutter, shown = StopStringCutter(stop), ""
    whole, _ = expected(stop, "".join(pieces))

    for piece in pieces:
        shown += cutter.push(piece)[0]
        assert whole.startswith(shown)


@given(stop=STOPS, pieces=PIECES)
def test_only_what_could_begin_a_stop_string_is_held_back(
    stop: tuple[str, ...], pieces: list[str]
) -> None:
    cutter, shown, matched = StopStringCutter(stop), "", False
    for piece in pieces:
        safe, matched = cutter.push(piece)
        shown += safe

    held = cutter.flush()

    assert matched or shown + held == "".join(pieces)
    assert not held or any(s.startswith(held) for s in stop)


@pytest.mark.parametrize(
    ("stop", "text", "shown"),
    [
        ((), "abc", "abc"),
        (("b",), "abc", "a"),
        (("a",), "abc", ""),
        (("bc", "c"), "abc", "a"),  # both end together: the longer one wins
        (("b", "abc"), "abc", "a"),  # `b` is complete first
        (("xyz",), "abcxy", "abcxy"),
        (("\n\n",), "a\n\n\nb", "a"),
        (("end",), "enend", "en"),
    ],
)
def test_the_cut_by_hand(stop: tuple[str, ...], text: str, shown: str) -> None:
    assert cut(stop, [text]) == (shown, shown != text)


def test_after_a_match_nothing_more_comes_out() -> None:
    cutter = StopStringCutter(("stop",))

    assert cutter.push("one stop two") == ("one ", True)
    assert cutter.push("three") == ("", True)
    assert cutter.flush() == ""


@given(stop=STOPS, before=PIECES, first=PIECES, second=PIECES)
def test_a_copy_goes_its_own_way(
    stop: tuple[str, ...], before: list[str], first: list[str], second: list[str]
) -> None:
    cutter = StopStringCutter(stop)
    start = "".join(cutter.push(piece)[0] for piece in before)

    twin = cutter.copy()
    one = start + "".join(cutter.push(piece)[0] for piece in first) + cutter.flush()
    other = start + "".join(twin.push(piece)[0] for piece in second) + twin.flush()

    assert one == cut(stop, before + first)[0]
    assert other == cut(stop, before + second)[0]
