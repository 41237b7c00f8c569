"""Every field of OpenAI's requests is honoured, harmless or refused by name; none is ignored.

The rows of `docs/reference/openai.md` are the cases here. What shows that a field is honoured
stands in `field_effects.py`.
"""

import json
from typing import Any

import openai
import pytest

from penstock.api.capabilities import ADDRESSES, DIALECTS, LASTING, treatments
from penstock.api.capabilities import ROUTES as ALL_ROUTES
from tests.api.openai.conftest import MODEL, Ask
from tests.api.openai.field_effects import (
    BASE,
    PROOFS,
    Differs,
    Refuses,
)
from tests.api.openai.field_refusals import HARMLESS, HARMLESS_INNER, INNER, UNSUPPORTED
from tests.api.openai.schema import Description

ROUTES = DIALECTS["openai"]
SCHEMAS = {
    "/v1/completions": "CreateCompletionRequest",
    "/v1/chat/completions": "CreateChatCompletionRequest",
    "/v1/embeddings": "CreateEmbeddingRequest",
    "/v1/responses": "CreateResponse",
    "/v1/files": "CreateFileRequest",
    "/v1/batches": "CreateBatchRequest",
}
# Honoured in ways of their own, shown in `test_fields_in_use.py`.
SHOWN_BELOW = {
    "stream",
    "stream_options",
    "stream_options.include_usage",
    "stream_options.include_obfuscation",
    "messages.name",
    "parallel_tool_calls",
    "previous_response_id",
}


def cases(treatment: str) -> list[Any]:
    return [
        pytest.param(route, t.name, id=f"{route[4:]}-{t.name}")
        for route in ROUTES
        for t in treatments(route)
        if t.treatment == treatment
    ]


@pytest.mark.parametrize("route", SCHEMAS)
def test_every_field_of_openais_description_is_in_the_table(
    description: Description, route: str
) -> None:
    """And every field inside one, unless the outer is refused or harmless as a whole."""
    others = other_types(description) if route == "/v1/responses" else set()
    rows = {plain(t.name): t.treatment for t in treatments(route)}
    outer = {name for name, treatment in rows.items() if treatment != "honoured"}

    missing = [
        name
        for name in description.nested_names(SCHEMAS[route], but=others)
        if not any(row == name or row.startswith(f"{name}.") for row in rows)
        and not any(name.startswith(f"{known}.") for known in outer)
    ]

    assert missing == []


def plain(name: str) -> str:
    """A form's `expires_after[seconds]` as other requests spell it."""
    return name.replace("[", ".").replace("]", "")


@pytest.mark.parametrize("address", ["/responses/{response_id}",
    "/responses/{response_id}/input_items", "/files", "/batches"])  # fmt: skip
def test_every_parameter_of_an_address_is_in_the_table(
    description: Description, address: str
) -> None:
    known = {t.name for t in treatments(f"GET /v1{address}")}

    assert description.query_names(address) == known


# What of a response's request has a type, the types that are read, and who is told of another.
TYPED = {
    "InputItem": ({"message", "function_call", "function_call_output"}, "input"),
    "Tool": ({"function"}, "tools.0.type"),
    "ToolChoiceParam": ({"function"}, "tool_choice.type"),
}


def other_types(description: Description) -> set[str]:
    """The types that are refused as a whole."""
    return {kind for name, (read, _) in TYPED.items() for kind in description.types(name) - read}


@pytest.mark.parametrize(
    ("schema", "least"), [("InputItem", 15), ("Tool", 12), ("ToolChoiceParam", 5)]
)
def test_objects_of_other_types_are_refused_by_name(
    client: openai.OpenAI, description: Description, schema: str, least: int
) -> None:
    """All those that OpenAI's description knows: searches of the web or of files, and the rest."""
    read, param = TYPED[schema]
    kinds = description.types(schema) - read
    body: dict[str, Any] = {"model": MODEL, "input": "Hi.", "max_output_tokens": 1}

    assert len(kinds) >= least
    for kind in kinds:
        one = {"type": kind}
        sent = {"InputItem": {"input": [one]}, "Tool": {"tools": [one]}}
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(**body | sent.get(schema, {"tool_choice": one}))
        assert refused.value.param == param and kind[:40] in refused.value.message


@pytest.mark.parametrize(("route", "name"), cases("honoured"))
def test_a_honoured_field_makes_a_difference(ask: Ask, route: str, name: str) -> None:
    if name in SHOWN_BELOW:
        return
    match PROOFS[route][name]:
        case Differs(changes, other):
            assert ask(route, **changes) != ask(route, **other)
        case Refuses(changes, param):
            with pytest.raises(openai.APIStatusError) as refused:
                ask(route, **changes)
            assert refused.value.status_code in (400, 404) and refused.value.param == param


@pytest.mark.parametrize(("route", "name"), cases("refused"))
def test_a_refused_field_is_a_400_that_names_it(ask: Ask, route: str, name: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(route, **(INNER[name] if "." in name else {name: UNSUPPORTED[name]}))

    assert refused.value.code == "invalid_parameter"
    if "." in name:  # the field, or the text whose part it is
        place = ".".join(part for part in refused.value.param.split(".") if not part.isdigit())
        assert name == place or (name.startswith(f"{place}.") and place.count(".") <= 1)
    else:
        assert refused.value.param == name
        assert f"{name}=" in refused.value.message and "not supported" in refused.value.message


@pytest.mark.parametrize(("route", "name"), cases("refused"))
def test_a_refused_field_may_be_sent_where_it_asks_for_nothing(
    client: openai.OpenAI, ask: Ask, route: str, name: str
) -> None:
    (treatment,) = (t for t in treatments(route) if t.name == name)
    if "." in name:
        return  # inside others: those that come back in answers are sent back by other tests
    baseline = ask(route)

    for value in (*treatment.accepted, None):
        body = json.dumps(BASE[route] | {name: value})
        answer = client.post(
            route.removeprefix("/v1"), body=json.loads(body), cast_to=dict[str, Any]
        )
        for part in ("choices", "output"):
            for one in answer.get(part, []):
                one.pop("id", None)
            assert answer.get(part) == baseline.get(part)


@pytest.mark.parametrize(("route", "name"), cases("harmless"))
def test_a_harmless_field_is_taken_and_changes_nothing(ask: Ask, route: str, name: str) -> None:
    sent, other = HARMLESS_INNER[name] if "." in name else ({name: HARMLESS[name]}, {})

    assert ask(route, **sent) == ask(route, **other)


def test_the_same_table_is_told_to_programs(client: openai.OpenAI) -> None:
    told = client.get("/capabilities", cast_to=dict[str, Any])

    for route in (*ALL_ROUTES, *LASTING, *ADDRESSES):
        fields = told["routes"][route]["fields"]
        assert {n: f["treatment"] for n, f in fields.items()} == {
            t.name: t.treatment for t in treatments(route)
        }
    assert told["models"][MODEL]["routes"] == dict.fromkeys(ALL_ROUTES, "supported")
    assert told["models"]["t5-large"]["routes"] == dict.fromkeys(ALL_ROUTES, "refused")
