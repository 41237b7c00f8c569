"""Which columns a comparison has: those listed, times strategies, models and seeds. Pure."""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any

from penstock.api.playground.schemas import MAX_RUNS, CompareBody, GenerationFields
from penstock.errors import InvalidParameter

FIELD_OF_LIST = {"strategies": "strategy", "models": "model", "seeds": "seed"}


def columns_of(body: CompareBody) -> list[GenerationFields]:
    """Each column's fields, completed by those given for all. Seeds vary fastest."""
    _refuse_contradictions(body)
    _refuse_too_many(body)
    shared = body.model_dump(include=set(GenerationFields.model_fields), exclude_none=True)
    return [
        GenerationFields.model_validate(shared | own | choice)
        for own in (column.model_dump(exclude_none=True) for column in body.columns)
        for choice in _choices(body)
    ]


def _choices(body: CompareBody) -> Iterator[dict[str, Any]]:
    """Every combination of the lists."""
    given = _given(body)
    for values in product(*given.values()):
        yield {FIELD_OF_LIST[name]: value for name, value in zip(given, values, strict=True)}


def _given(body: CompareBody) -> Mapping[str, list[Any]]:
    lists = {name: getattr(body, name) for name in FIELD_OF_LIST}
    return {name: values for name, values in lists.items() if values is not None}


def _refuse_contradictions(body: CompareBody) -> None:
    """A field that is set beside the list of its values."""
    for name in _given(body):
        field = FIELD_OF_LIST[name]
        places = [("", body), *((f"columns.{i}.", c) for i, c in enumerate(body.columns))]
        for place, fields in places:
            if getattr(fields, field) is not None:
                raise InvalidParameter(
                    f"{place}{field} is set and {name} too.",
                    "Send one of the two.",
                    param=f"{place}{field}",
                )


def _refuse_too_many(body: CompareBody) -> None:
    counts = {"columns": len(body.columns)}
    counts |= {name: len(values) for name, values in _given(body).items()}
    total = prod(counts.values())
    if total > MAX_RUNS:
        told = " × ".join(f"{count} {name}" for name, count in counts.items())
        raise InvalidParameter(
            f"{told} are {total} columns.",
            f"Use at most {MAX_RUNS} in all.",
            param=max(counts, key=lambda name: counts[name]),
        )
