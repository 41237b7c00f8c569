"""Prompts: the fallback template word for word, and nothing done where nothing was asked."""

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


def test_examples_alone_come_without_a_first_part() -> None:
    assert render_prompt("big", examples=EXAMPLES[:1]) == (
        "Input: cold\nOutput: hot\n\nInput: big\nOutput:"
    )
