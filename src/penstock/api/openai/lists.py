"""Lists in OpenAI's form, a page at a time."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

After = Annotated[
    str | None, Query(max_length=64, description="The id after which the page begins.")
]


def shown_list(data: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """The page. An empty one has empty ids at its ends."""
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else "",
        "last_id": data[-1]["id"] if data else "",
        "has_more": has_more,
    }


def without_nothing(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value: OpenAI's description lets most be absent and none be null."""
    return {name: value for name, value in fields.items() if value is not None}
