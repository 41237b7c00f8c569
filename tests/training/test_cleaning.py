"""Cleaning turns printed pages into flowing prose and leaves the words alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.training.cleaning import clean_document, clean_paragraph, is_english, is_prose


@pytest.mark.parametrize(
    ("printed", "prose"),
    [
        ("People said\n      the sun is\n      setting.", "People said the sun is setting."),
        ("It was _his_ hat, the _Star of\nIndia_.", "It was his hat, the Star of India."),
        ("\u201cOh!\u201d she said.", '"Oh!" she said.'),
        ("\u2018Good day,\u2019 said he; \u2018come in.\u2019", '"Good day," said he; "come in."'),
        ("The miller\u2019s cat couldn\u2019t.", "The miller's cat couldn't."),
        ("Wait\u2014I know--no \u2014 yes.", "Wait -- I know -- no -- yes."),
        ('"But I--" he began.', '"But I --" he began.'),
        ('"--and so to bed."', '"-- and so to bed."'),
        ("Then\u2026 nothing. . . . At all.", "Then... nothing... At all."),
        ("He was cured!Then he sang.", "He was cured! Then he sang."),
        ("I am a hen,* said she.", "I am a hen, said she."),
        ("A\u00a0wide\u202fspace.", "A wide space."),
    ],
)
def test_a_paragraph_becomes_one_line_of_plain_typography(printed: str, prose: str) -> None:
    assert (
        clean_document(printed + " And then they went home.") == f"{prose} And then they went home."
    )


@pytest.mark.parametrize(
    "junk",
    [
        "CHAPTER IV. IN WHICH NOTHING HAPPENS",
        "Chapter 12",
        "[Illustration: THE FLOWERS IN THE YARD]",
        "[Footnote 1: A kind of boat.]",
        "{A dreadful adventure: p77.jpg}",
        "* * * * *",
        "THE END",
        "The End.",
        "XII.",
        "| 12 | 13 | 14 |",
        "Produced by somebody for Project Gutenberg",
        "Illustrated by Douglas",
        "La gent se \ufffdmerveillont que cette clef.",
    ],
)
def test_what_is_not_the_story_is_left_out(junk: str) -> None:
    before, after = "The king went out hunting one day.", "He came home late and very tired."

    assert clean_document(f"{before}\n\n{junk}\n\n{after}") == f"{before}\n\n{after}"


def test_nothing_is_kept_after_the_transcribers_notes_begin() -> None:
    text = (
        "They lived happily.\n\nTranscriber\u2019s Notes:\n\nPunctuation was made consistent here."
    )

    assert clean_document(text) == "They lived happily."


@pytest.mark.parametrize("line", ['"Yes."', '"Oh!"', '"Yep."', '"I -- no!" he cried.', '"Dive!"'])
def test_short_dialogue_is_prose(line: str) -> None:
    assert is_prose(line)


def test_a_foreign_text_is_not_english_and_a_story_is() -> None:
    assert not is_english(
        "Sa houe \u00e9tait trop courte. Cet homme \u00e9tait trop grand pour son lit."
    )
    assert is_english("Once upon a time there was a man who was too tall for his bed.")


@given(st.text(alphabet="ab'\"\u201c\u2018\u2019-\u2014._* \n\u2026T!", max_size=80))
def test_cleaning_a_clean_paragraph_changes_nothing(text: str) -> None:
    once = clean_paragraph(clean_paragraph(text))

    assert clean_paragraph(once) == once
    assert "\n" not in once
    assert "  " not in once
