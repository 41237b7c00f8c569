"""Post-processing: each step by table, each undone, wrong names answered with the list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import InvalidParameter
from penstock.text.postprocess import STEP_FORMS, Step, apply_steps, parse_step


def run(step: str, text: str, prompt: str = "") -> str:
    return apply_steps([parse_step(step)], text, prompt)[0].after


@pytest.mark.parametrize(
    ("text", "prompt", "after"),
    [
        ("Once upon a time", "Once", " upon a time"),
        ("Once upon a time", "upon", "Once upon a time"),
        ("Once", "Once", ""),
        ("Once Once", "Once", " Once"),
        ("Once", "", "Once"),
    ],
)
def test_strip_prompt_takes_the_prompt_from_the_start_once(
    text: str, prompt: str, after: str
) -> None:
    assert run("strip_prompt", text, prompt) == after


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("a\nb\na\n", "a\nb\n"),
        ("a\n a \nb", "a\nb"),
        ("a\n\nb\n\na", "a\n\nb\n\n"),
        ("a\r\nb\r\na", "a\r\nb\r\n"),
        ("no lines", "no lines"),
        ("", ""),
    ],
)
def test_drop_repeated_lines_keeps_the_first_of_equals_and_all_empty_ones(
    text: str, after: str
) -> None:
    assert run("drop_repeated_lines", text) == after


@pytest.mark.parametrize(
    ("limit", "text", "after"),
    [
        (1, "one two", "one"),
        (2, "one  two three", "one  two"),
        (2, " one\n two\n", " one\n two"),
        (3, "one two ", "one two "),
        (5, "", ""),
    ],
)
def test_limit_words_cuts_after_the_last_allowed_word(limit: int, text: str, after: str) -> None:
    assert run(f"limit_words:{limit}", text) == after


@given(text=st.text(max_size=50), prompt=st.text(max_size=5), limit=st.integers(1, 5))
def test_every_step_reports_what_it_was_given(text: str, prompt: str, limit: int) -> None:
    names = ["drop_repeated_lines", "strip_prompt", f"limit_words:{limit}"]

    applied = apply_steps([parse_step(name) for name in names], prompt + text, prompt)

    assert [str(done.step) for done in applied] == names
    assert applied[0].before == prompt + text
    assert [done.after for done in applied[:-1]] == [done.before for done in applied[1:]]
    assert all(done.num_removed == len(done.before) - len(done.after) >= 0 for done in applied)


def test_no_steps_report_nothing() -> None:
    assert apply_steps([], "text", "prompt") == []


@pytest.mark.parametrize(
    "name",
    [
        "", "summarise", "strip_prompt:3", "strip_prompt:", "limit_words", "limit_words:",
        "limit_words:0", "limit_words:-1", "limit_words:two", "limit_words:\u0663",
        "limit_words:9999999999", "LIMIT_WORDS:3", "limit_words:3 ", "limit_words:3\n",
    ],
)  # fmt: skip
def test_a_wrong_step_is_answered_with_the_valid_ones(name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_step(name)

    assert caught.value.param == "postprocess"
    assert all(form in str(caught.value) for form in STEP_FORMS)


def test_a_step_is_written_as_it_was_read() -> None:
    assert parse_step("limit_words:200") == Step("limit_words", 200)
    assert str(parse_step("limit_words:200")) == "limit_words:200"
