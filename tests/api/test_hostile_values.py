"""Values that no field may have, in every field: each is a 400 that names the field, at once.

What they are: numbers that are none, half characters, thousands of brackets, texts of a megabyte,
lists of everything. The server answers the next request as if nothing had been.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.api.capabilities import DIALECTS, treatments
from penstock.api.treatments import FieldTreatment
from penstock.types import NEUTRAL
from tests.api.openai.field_effects import (
    ANSWER,
    CALL,
    USER,
    called,
    formed,
    function,
    items,
    text_of,
    tool,
)
from tests.api.openai.field_effects import BASE as OPENAI
from tests.server_process import running_server

NUM_VALUES = int(os.environ.get("PENSTOCK_HOSTILE_VALUES", "300"))  # see `make fuzz`
MOST_SECONDS = float(os.environ.get("PENSTOCK_HOSTILE_SECONDS", "5"))  # 0.05 on a quiet machine
ANTHROPIC: dict[str, Any] = {"model": "penstock-tiny", "messages": [USER]}
BASE: dict[str, dict[str, Any]] = {
    **OPENAI,
    "/v1/messages": ANTHROPIC | {"max_tokens": 2},
    "/v1/messages/count_tokens": ANTHROPIC,
}
# What must stand around a field inside another, lest the outer one be what is refused.
AROUND: dict[str, Any] = {
    "messages": [{"role": "assistant", "content": "x", "tool_calls": [CALL]}],
    "messages.content": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
    "response_format": formed({"type": "object"}),
    "stream_options": {"include_usage": True},
    "tools": [function(parameters={"type": "object"})],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
}
AROUND_RESPONSES: dict[str, Any] = {
    "input": called()["input"][1:],
    "input.role": items()["input"],
    "input.content": items()["input"],
    "input.phase": items()["input"],
    "input.output": called(output=[ANSWER])["input"][:0:-1],
    "stream_options": {"include_usage": True},
    "text": text_of({"type": "object"}),
    "tools": [tool(parameters={"type": "object"})],
    "tool_choice": tool("f"),
}
AROUND_ANTHROPIC: dict[str, Any] = {
    "messages": [USER],
    "messages.content": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "tool", "name": "f"},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
}
# JSON texts that are no value of any field.
ALWAYS = [
    "NaN", "-Infinity", "[NaN]", '{"a": Infinity}', "9" * 5000, "[" * 1000 + "]" * 1000,
    '{"a":' * 1000 + "1" + "}" * 1000, '[[{"a": NaN}]]', '{"\\ud800": NaN}',
]  # fmt: skip
# JSON texts that are wrong unless the field is of that type.
BY_TYPE = {
    "number": ["1e400", "-1e300", "1" + "0" * 30, "-9" * 1 + "9" * 30, "9223372036854775808"],
    "boolean": ["true", "false"],
    "string": [
        '"\\ud800"', '"a\\udfffb"', '"\\u0000"', '"x\\u0000y"', json.dumps("a" * 1_000_000),
        json.dumps("🦀" * 100_000), '"\\ud83d"',
    ],
    "array": [
        "[null]", "[[[]]]", '[1, "a", null, {}]', "[{}]", '[true, "x"]', "[[1, [2]]]",
        json.dumps([["x"]] * 5000), '[{"type": "x"}]', '["a", ["b"]]',
    ],
    "object": ['{"": {}}', '{"a": {"b": null}}', '{"type": 1}', '{"\\u0000": null}'],
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A field of a route and the JSON text of its value."""

    route: str
    name: str
    value: str

    @property
    def body(self) -> bytes:
        mark = "the value"
        outer, _, inner = self.name.partition(".")
        body = json.loads(json.dumps(BASE[self.route]))
        if inner:
            all_around = around(self.route)
            nearer = all_around.get(f"{outer}.{inner.partition('.')[0]}")
            body[outer] = json.loads(json.dumps(nearer or all_around[outer]))
            if outer == "stream_options":
                body["stream"] = True
            if outer == "tool_choice":
                body["tools"] = all_around["tools"]
        place(body, self.name.split("."), mark)
        return json.dumps(body).replace(json.dumps(mark), self.value).encode()


def around(route: str) -> dict[str, Any]:
    """What stands around the inner fields of the route."""
    if route == "/v1/responses":
        return AROUND_RESPONSES
    return AROUND if route in OPENAI else AROUND_ANTHROPIC


def place(value: Any, names: list[str], mark: str) -> None:
    """Put the mark where the field is; of a list, into its first entry."""
    while isinstance(value, list):
        value = value[0]
    if len(names) == 1:
        value[names[0]] = mark
    else:
        place(value[names[0]], names[1:], mark)


def schemas(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The schema of each route's body, by our own description."""
    found = {}
    for route in BASE:
        content = document["paths"][route]["post"]["requestBody"]["content"]
        found[route] = content["application/json"]["schema"]
    return found


def types_of(schema: dict[str, Any], document: dict[str, Any]) -> set[str]:
    """The JSON types that a schema has a place for; none where it says nothing of them."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    parts = [part for key in ("anyOf", "oneOf") for part in schema.get(key, [])]
    kinds = {schema["type"]} if "type" in schema else set()
    if "enum" in schema or "const" in schema:
        kinds = {"word"}
    return kinds.union(*(types_of(part, document) for part in parts))


def hostile(treatment: FieldTreatment, types: set[str]) -> list[str]:
    """The JSON texts that this field may not have."""
    values = list(ALWAYS)
    for kind, texts in BY_TYPE.items():
        same = {kind} | ({"integer"} if kind == "number" else set())
        if not types or (treatment.treatment == "refused" and kind == "boolean"):
            continue
        if not types & same or kind in ("number", "string", "array"):
            values += texts
    return values


def field_types(document: dict[str, Any], route: str, name: str) -> set[str]:
    """The JSON types of a field, at whatever depth; none where the description does not say."""
    schema = schemas(document)[route]
    for part in name.split("."):
        found = dict(properties_of(schema, document)).get(part)
        if found is None:
            return set()
        schema = found
    return types_of(schema, document)


def properties_of(
    schema: dict[str, Any], document: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The properties of an object schema, through unions and lists."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield from schema.get("properties", {}).items()
    inner = [part for key in ("anyOf", "oneOf") for part in schema.get(key, [])]
    for part in (*inner, *([schema["items"]] if "items" in schema else [])):
        yield from properties_of(part, document)


def cases(document: dict[str, Any]) -> list[Case]:
    """So many, field by field in turn, each field's values in an order of their own."""
    chance = random.Random(5)
    rows: list[list[Case]] = []
    for route in (*DIALECTS["openai"], *DIALECTS["anthropic"]):
        for treatment in treatments(route):
            if route != "/v1/completions" and treatment.name in NEUTRAL:
                continue  # the same fields everywhere
            types = field_types(document, route, treatment.name)
            values = hostile(treatment, types)
            if is_free_text(treatment.name, types):
                values = [value for value in values if len(value) < 90_000]
            chance.shuffle(values)
            rows.append([Case(route, treatment.name, value) for value in values])
    chance.shuffle(rows)
    in_turn = [case for column in itertools.zip_longest(*rows) for case in column if case]
    return in_turn[:NUM_VALUES]


def is_free_text(name: str, types: set[str]) -> bool:
    """A text of any length may be sent; what does not fit is refused as the prompt's length."""
    return "string" in types or name.endswith(("content", "text", "input", "prompt"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[http.client.HTTPConnection]:
    """A server in a process of its own: it waits for no other test's garbage to be collected."""
    told = {"PENSTOCK_CACHE_MIB": "0", "PENSTOCK_THREADS": "1"}
    with running_server(
        [Path(sys.executable).with_name("penstock")], folder=tmp_path, environment=told
    ) as running:
        host, port = running.url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        with contextlib.closing(connection):
            yield connection


def get(server: http.client.HTTPConnection, path: str) -> Any:
    server.request("GET", path)
    return json.loads(server.getresponse().read())


def test_every_hostile_value_is_refused_at_once_by_its_fields_name(
    server: http.client.HTTPConnection,
) -> None:
    wrong: list[tuple[Any, ...]] = []
    seconds: list[tuple[float, str, str]] = []
    for case in cases(get(server, "/openapi.json")):
        body = case.body
        started = time.perf_counter()
        server.request("POST", case.route, body, {"content-type": "application/json"})
        response = server.getresponse()
        answer = response.read()
        seconds.append((time.perf_counter() - started, case.name, case.value[:40]))
        error = json.loads(answer).get("error") or {}
        param = (error.get("param") or "").partition(".")[0]
        if response.status != 400 or param != case.name.partition(".")[0]:
            wrong.append((case.route, case.name, case.value[:60], response.status, answer[:200]))
        assert get(server, "/livez")

    assert len(seconds) == NUM_VALUES
    assert wrong == [], "\n".join(map(str, wrong))
    seconds.sort()
    median, longest = seconds[len(seconds) // 2][0], seconds[-1][0]
    print(f"{NUM_VALUES} values: median {median * 1000:.1f} ms, longest {longest * 1000:.1f} ms")
    assert longest < MOST_SECONDS, seconds[-5:]
