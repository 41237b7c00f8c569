"""An answer is taken apart into text and calls, the same however it comes in pieces."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.text.call_reader import Argued, Called, CallReader, Piece, Said
from penstock.text.tool_calls import ToolCall

ARGUMENTS = st.dictionaries(
    st.text(max_size=4),
    st.text(max_size=8) | st.sampled_from(["</tool_call>", '"}', "\\", '{"', "<tool_call>\n"])
    | st.integers() | st.lists(st.dictionaries(st.text(max_size=2), st.none()), max_size=2),
    max_size=3,
)  # fmt: skip
NAMES = st.from_regex("[a-zA-Z0-9_-]{1,8}", fullmatch=True)


def read(pieces: list[str]) -> list[Piece]:
    reader = CallReader()
    return [*(found for piece in pieces for found in reader.push(piece)), *reader.finish()]


def told(pieces: list[Piece]) -> tuple[str, list[list[Any]]]:
    """The text, and each call's name and arguments."""
    calls: list[list[Any]] = []
    for piece in pieces:
        if isinstance(piece, Called):
            assert piece.index == len(calls)
            calls.append([piece.name, ""])
        elif isinstance(piece, Argued):
            assert piece.index == len(calls) - 1 and piece.text
            calls[piece.index][1] += piece.text
    return "".join(piece.text for piece in pieces if isinstance(piece, Said)), calls


@given(said=st.text(max_size=12) | st.sampled_from(["<", "a <tool", "<tool_cal", "<<tool_call"]),
       calls=st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3),
       cuts=st.lists(st.integers(0, 400), max_size=12))  # fmt: skip
def test_calls_come_back_as_they_were_written_however_the_answer_is_cut(
    said: str, calls: list[tuple[str, dict[str, Any]]], cuts: list[int]
) -> None:
    written = [ToolCall("", name, json.dumps(arguments)) for name, arguments in calls]
    answer = said + "\n".join(call.written() for call in written)
    ends = sorted({min(cut, len(answer)) for cut in cuts} | {len(answer)})
    pieces = [answer[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    assert told(read(pieces)) == (said, [[c.name, c.arguments] for c in written])


def test_text_is_given_out_as_soon_as_it_can_no_longer_be_a_call() -> None:
    reader = CallReader()

    assert reader.push("Hello <tool") == [Said("Hello ")]
    assert reader.push("box>") == [Said("<toolbox>")]


def test_arguments_are_given_out_as_they_come() -> None:
    reader = CallReader()
    reader.push('<tool_call>\n{"name": "f", "arguments": ')

    assert reader.push('{"a": ') == [Argued(0, '{"a": ')]
    assert reader.push("1}}\n</tool_call>") == [Argued(0, "1}")]
    assert reader.num_calls == 1


def test_a_call_that_is_cut_keeps_what_there_is_of_its_arguments() -> None:
    assert told(read(['<tool_call>\n{"name": "f", "arguments": {"a": "b'])) == (
        "",
        [["f", '{"a": "b']],
    )
    assert told(read(["so <tool_call>\n{"])) == ("so ", [])


def test_a_text_that_only_looks_like_a_call_at_its_end_is_text() -> None:
    assert told(read(["a <tool_call"])) == ("a <tool_call", [])
