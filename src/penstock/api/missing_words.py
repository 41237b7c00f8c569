"""How every dialect tells which forced words a text lacks."""

from typing import Any

from penstock.types import SequenceFinished


def missing_words(sequence: SequenceFinished) -> dict[str, Any]:
    """The field with their places in `force_words`, from 0; nothing where none is missing."""
    return {"missing_words": list(sequence.missing_words)} if sequence.missing_words else {}
