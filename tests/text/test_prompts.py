"""Prompts: the fallback template word for word, and nothing done where nothing was asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.text.prompts import render_prompt

EXAMPLES = [("cold", "hot"), ("tall", "short")]


@given(prompt=st.text(min_size=1))
def test_a_prompt_alone_goes_through_untouched(prompt: str) -> None:
    assert render_prompt(prompt) == prompt
    assert render_prompt(prompt, system_prompt="", examples=[]) == prompt


def test_the_whole_template_word_for_word() -> None:
    rendered = render_prompt("big", system_prompt="Give the opposite.", examples=EXAMPLES)

    assert rendered == (
        "Give the opposite.\n\n"
        "Input: cold\nOutput: hot\n\n"
        "Input: tall\nOutput: short\n\n"
        "Input: big\nOutput:"
    )


def test_a_system_prompt_alone_adds_no_labels() -> None:
    assert render_prompt("Once", system_prompt="Write a story.") == "Write a story.\n\nOnce"


@pytest.mark.parametrize(
    ("code", "rendered"),
    [
        ("Horror", "Horror big"),
        ("summarize: ", "summarize: big"),
        ("Reviews\n", "Reviews\nbig"),
        ("", "big"),
        (None, "big"),
    ],
)
def test_a_control_code_comes_first_with_one_space(code: str | None, rendered: str) -> None:
    assert render_prompt("big", control_code=code) == rendered


def test_a_control_code_comes_before_everything_else() -> None:
    rendered = render_prompt("big", system_prompt="Say.", examples=EXAMPLES[:1], control_code="X")

    assert rendered == "X Say.\n\nInput: cold\nOutput: hot\n\nInput: big\nOutput:"


def test_examples_alone_come_without_a_first_part() -> None:
    assert render_prompt("big", examples=EXAMPLES[:1]) == (
        "Input: cold\nOutput: hot\n\nInput: big\nOutput:"
    )
