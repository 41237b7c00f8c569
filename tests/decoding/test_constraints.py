"""What a form may be, and how soon and how plainly any other is refused."""

import json
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from penstock.decoding.constraints.compiling import constraint_of
from penstock.errors import InvalidParameter
from penstock.types import DecodingParams
from tests.figures import record
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, byte_tokenizer

MAX_SECONDS = 0.5  # of computing, whatever else the machine does
TOKENIZER = byte_tokenizer()


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def schema(value: object) -> dict[str, Any]:
    return {"json_schema": json.dumps(value)}


HOSTILE: dict[str, dict[str, Any]] = {
    "enum": schema({"enum": [f"value{i}" for i in range(4000)]}),
    "deep": schema(nested(40)),
    "very-deep": {"json_schema": '{"a":' * 9000 + "1" + "}" * 9000},
    "ref-loop": schema(
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    ),
    "remote-ref": schema({"$ref": "http://127.0.0.1:1/schema.json"}),
    "all-of-any-of": schema(
        {
            "allOf": [
                {"anyOf": [{"properties": {f"k{i}{j}": {"type": "string"}}} for j in range(10)]}
                for i in range(10)
            ]
        }
    ),
    "required": schema(
        {
            "type": "object",
            "properties": {f"p{i}": {"type": "string"} for i in range(1500)},
            "required": [f"p{i}" for i in range(1500)],
        }
    ),
    "min-length": schema({"type": "string", "minLength": 10**9}),
    "optional-a": {"regex": "(a?){500}a{500}"},
    "backtracking": {"regex": "(x+x+)+y" * 20},
    "any-before-any": {"regex": "(.*a.{300}){3}"},
    "stars": {"regex": "(.*)*" * 100},
    "repeated-repeats": {"regex": "((a{100}){100}){20}"},
    "parens": {"grammar": "start: " + "(" * 30_000 + '"a"' + ")" * 30_000},
    "left-recursion": {"grammar": 'start: start start | start "a" | "a"'},
    "endless": {"grammar": "start: start"},
    "ambiguous": {"grammar": 'start: (a | b)*\na: (a b)* "x"?\nb: (b a)* "x"?'},
    "counted": {"grammar": 'start: (("a"|"b"){1,1000}){1,1000}'},
    "chain": {
        "grammar": "start: r0\n"
        + "".join(f'r{i}: "a" r{i + 1} | "b" r{i + 1}\n' for i in range(1500))
        + 'r1500: "c"'
    },
    "choices": {"choice": tuple(f"{i:060}" for i in range(1024))},
}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (HOSTILE["deep"], "json_schema", "deeper than 32"),
    (HOSTILE["very-deep"], "json_schema", "json_schema"),
    (HOSTILE["ref-loop"], "json_schema", "no text"),
    (HOSTILE["remote-ref"], "json_schema", "json_schema"),
    (HOSTILE["all-of-any-of"], "json_schema", "too large"),
    (HOSTILE["parens"], "grammar", "too deeply nested"),
    (HOSTILE["endless"], "grammar", "no text"),
    ({"json_schema": "{"}, "json_schema", "not JSON"),
    ({"json_schema": "[1]"}, "json_schema", "not an object"),
    (schema({"type": "array", "uniqueItems": True}), "json_schema", "uniqueItems"),
    (schema({"type": "colour"}), "json_schema", "json_schema"),
    (schema(False), "json_schema", "not an object"),
    ({"regex": "(a"}, "regex", "unclosed group"),
    ({"regex": "(?=a)b"}, "regex", "look-around"),
    ({"regex": r"(a)\1"}, "regex", "backreferences"),
    ({"regex": "\ud800"}, "regex", "surrogate"),
    ({"grammar": "start: missing"}, "grammar", "missing"),
    ({"grammar": "nonsense"}, "grammar", "grammar"),
    ({"choice": ("a", "")}, "choice", "empty"),
    ({"choice": ("a",), "regex": "a"}, "choice", "regex and choice"),
    ({"json_object": True, "json_schema": "{}"}, "json_object", "json_schema and json_object"),
]


def compile_for(tokenizer: Any = TOKENIZER, **params: Any) -> Any:
    return constraint_of(DecodingParams(**params), tokenizer, VOCAB_SIZE)


def can_begin(**params: Any) -> set[bytes]:
    first = compile_for(**params).first
    return {TOKENIZER.token_bytes(i) for i in first.nonzero().flatten().tolist()}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_form_is_refused_or_ready_within_half_a_second(name: str) -> None:
    compile_for(regex="a")  # the vocabulary is read once per model
    answer = "ready"
    started = time.thread_time()

    try:
        compile_for(**HOSTILE[name])
    except InvalidParameter as error:
        answer = "refused"
        assert len(str(error)) < 400
        assert "state" not in str(error).lower().split()

    seconds = time.thread_time() - started
    assert seconds < MAX_SECONDS
    record("hostile forms", name, {"answer": answer, "milliseconds": round(seconds * 1000)})


@pytest.mark.parametrize(("params", "param", "words"), REFUSED, ids=lambda case: str(case)[:30])
def test_what_cannot_be_a_form_is_refused_by_its_name(
    params: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(InvalidParameter, match=words) as refused:
        compile_for(**params)

    assert refused.value.param == param


@pytest.mark.parametrize(
    "params",
    [
        {"regex": "a" * 2049},
        {"grammar": "a" * 65_537},
        {"json_schema": "a" * 65_537},
        {"choice": ("a",) * 1025},
        {"choice": ("a" * 1000,) * 100},
    ],
    ids=lambda params: next(iter(params)),
)
def test_what_is_too_long_is_refused_before_it_is_read(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match="Use at most") as refused:
        DecodingParams(**params)

    assert refused.value.param == next(iter(params))


def test_only_what_a_form_allows_may_begin_a_text() -> None:
    assert can_begin(choice=("yes", "no")) == {b"y", b"n"}
    assert can_begin(regex="^[ab]+$") == {b"a", b"b"}
    assert can_begin(json_object=True) == {b"{"}
    assert can_begin(grammar='start: "(" start ")" | "x"') == {b"(", b"x"}


def test_the_end_may_come_only_where_the_text_is_complete() -> None:
    with ThreadPoolExecutor(1) as executor:
        follower = compile_for(regex="a{2,3}").follow(executor)
        may_end = [bool(follower.allowed()[EOS])]
        for _ in range(3):
            follower.advance(TOKENIZER.encode("a")[0])
            may_end.append(bool(follower.allowed()[EOS]))

    assert may_end == [False, False, True, True]
    assert follower.allowed().sum() == 1


def test_a_fork_goes_its_own_way() -> None:
    a, b, c = (TOKENIZER.encode(text)[0] for text in "abc")
    with ThreadPoolExecutor(1) as executor:
        first = compile_for(choice=("ab", "ac", "b")).follow(executor)
        second = first.fork(b)
        first.advance(a)

        assert first.allowed().nonzero().flatten().tolist() == sorted([b, c])
        assert second.allowed().nonzero().flatten().tolist() == [EOS]


def test_a_mask_is_computed_while_others_work() -> None:
    """What asks for the mask waits for it, and until then for nothing."""
    may_compute = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(may_compute.wait, 10)
        follower = compile_for(choice=("ab",)).follow(executor)

        follower.advance(TOKENIZER.encode("a")[0])  # returns at once
        may_compute.set()

        assert follower.allowed().nonzero().flatten().tolist() == TOKENIZER.encode("b")


def test_the_same_form_is_compiled_once_and_a_model_that_goes_takes_its_forms_along() -> None:
    tokenizer = byte_tokenizer()
    assert compile_for(tokenizer, regex="ab") is compile_for(tokenizer, regex="ab")

    gone = weakref.ref(tokenizer)
    del tokenizer

    assert gone() is None


def test_a_model_without_an_end_token_is_told_apart() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.eos_token_ids = frozenset()

    with pytest.raises(InvalidParameter, match="no token that ends a text"):
        compile_for(tokenizer, regex="ab")


def test_a_text_is_accepted_only_as_a_whole() -> None:
    constraint = compile_for(regex="é+b?")

    assert constraint.accepts("éé".encode()) and constraint.accepts("éb".encode())
    assert not constraint.accepts(b"") and not constraint.accepts("ébb".encode())
    assert not constraint.accepts("é".encode()[:1])
