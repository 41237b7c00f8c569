"""Rows of a batch of logits, as the tests of decoding need them."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from penstock.decoding.processors.interface import Row
from penstock.types import DecodingParams

EOS = 0


OF_THE_ROW = {field.name for field in fields(Row)}


def make_row(
    token_ids: Sequence[int] = (), *, num_generated: int | None = None, **values: Any
) -> Row:
    """A row with these parameters, whose tokens were all generated unless it is said otherwise."""
    others = {"min_new_tokens": 0, "eos_token_ids": frozenset({EOS})}
    others |= {name: values.pop(name) for name in OF_THE_ROW & values.keys()}
    return Row(
        params=DecodingParams(**values),
        token_ids=token_ids,
        num_generated=len(token_ids) if num_generated is None else num_generated,
        **others,
    )
