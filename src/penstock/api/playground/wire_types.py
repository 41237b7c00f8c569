"""What a value looks like on the wire, by its kind, and how `DecodingParams` holds it."""

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from penstock.decoding.parameters import Kind
from penstock.types import MAX_STOP_LENGTH, MAX_STOP_STRINGS

MAX_WORD_LENGTH = 200  # characters, or token ids
_AMOUNT = r"[0-9]{1,9}(?:\.[0-9]{1,3})?"
DURATION = re.compile(rf"-?{_AMOUNT}|-?(?:{_AMOUNT}(?:ms|[smh])){{1,4}}")
PART_OF_DURATION = re.compile(rf"({_AMOUNT})(ms|[smh]?)")
SECONDS_OF_UNIT = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600}
BRANCH = "|"  # before the tags of a union, which are no part of a field's name
LONGEST_KEEP_ALIVE = 1e10  # seconds: three centuries; what is more is a mistake
HALF_PAIR = re.compile("[\ud800-\udfff]")


def check_text(text: str) -> str:
    """The text, refused if it holds what no tokenizer and no database takes."""
    if "\0" in text:
        raise PydanticCustomError("nul", "Remove the NUL character (U+0000)")
    if HALF_PAIR.search(text):
        raise PydanticCustomError("string_unicode", "Send valid Unicode")
    return text


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _check_word(value: Any) -> Any:
    if isinstance(value, str) and 1 <= len(value) <= MAX_WORD_LENGTH:
        return check_text(value)
    if not (isinstance(value, list) and 1 <= len(value) <= MAX_WORD_LENGTH and _are_ids(value)):
        raise PydanticCustomError("word", "Use a text or a list of token ids, neither empty")
    return value


def _check_token(value: Any) -> Any:
    if type(value) is int and 0 <= value < 2**31:
        return value
    if isinstance(value, str) and 1 <= len(value) <= MAX_WORD_LENGTH:
        return check_text(value)
    raise PydanticCustomError("token", "Use a token id or the text of one token")


def _check_alternatives(value: Any) -> Any:
    if not isinstance(value, list) or _are_ids(value):
        return _check_word(value)
    return [_check_word(word) for word in value]


def _check_word_bias(value: Any) -> Any:
    is_pair = isinstance(value, list) and len(value) == 2
    if not is_pair or isinstance(value[1], bool) or not isinstance(value[1], int | float):
        raise PydanticCustomError("word_bias", "Use a pair of a word and a number")
    return [_check_word(value[0]), float(value[1])]


def _check_prompt(value: Any) -> Any:
    if isinstance(value, str):
        return check_text(value)
    if isinstance(value, list) and value and _are_ids(value):
        return value
    raise PydanticCustomError("prompt", "Use a text or a list of token ids")


def _check_layers(value: Any) -> Any:
    if value in ("low", "high") or (isinstance(value, list) and value and _are_ids(value)):
        return value
    raise PydanticCustomError("layers", 'Use "low", "high" or a list of numbers from 0')


def _check_start_and_factor(value: list[Any]) -> list[Any]:
    if len(value) != 2 or type(value[0]) is not int or not isinstance(value[1], int | float):
        raise PydanticCustomError("start", "Use a pair of a number of tokens and a factor")
    return value


def _check_keep_alive(value: Any) -> float:
    """Seconds; infinity for ever, which is written as any negative number."""
    if isinstance(value, str) and DURATION.fullmatch(value):
        parts = PART_OF_DURATION.findall(value)
        seconds = sum(float(amount) * SECONDS_OF_UNIT[unit] for amount, unit in parts)
        value = -seconds if value.startswith("-") else seconds
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (abs(value) <= LONGEST_KEEP_ALIVE or value == math.inf):
        raise PydanticCustomError(
            "keep_alive", 'Use seconds, a duration such as "10m" or "1h30m", or -1 for ever'
        )
    return math.inf if value < 0 else float(value)


def _are_ids(value: list[Any]) -> bool:
    return all(type(entry) is int and entry >= 0 for entry in value)


def frozen(kind: Kind, value: Any) -> Any:
    """A value from the wire as `DecodingParams` holds it."""
    if kind == "token_biases":
        return tuple((int(token_id), bias) for token_id, bias in value.items())
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    if kind == "alternatives":
        return tuple(map(_alternatives, value))
    return _frozen(value)


def _alternatives(entry: Any) -> tuple[Any, ...]:
    """A word alone, a text or token ids, is the only one of its alternatives."""
    is_word = isinstance(entry, str) or _are_ids(entry)
    return (_frozen(entry),) if is_word else _frozen(entry)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


Text = Annotated[str, AfterValidator(check_text)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
StopString = Annotated[Text, Field(min_length=1, max_length=MAX_STOP_LENGTH)]
StopStrings = Annotated[
    list[StopString],
    Field(max_length=MAX_STOP_STRINGS, fail_fast=True),
    BeforeValidator(_as_list),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "maxItems": MAX_STOP_STRINGS},
            ]
        }
    ),
]
WORD_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]
}
Word = Annotated[Any, AfterValidator(_check_word), WithJsonSchema(WORD_SCHEMA)]
Prompt = Annotated[Any, AfterValidator(_check_prompt), WithJsonSchema(WORD_SCHEMA)]
NamedToken = Annotated[
    Any,
    AfterValidator(_check_token),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]
Alternatives = Annotated[
    Any,
    AfterValidator(_check_alternatives),
    WithJsonSchema({"anyOf": [*WORD_SCHEMA["anyOf"], {"type": "array", "items": WORD_SCHEMA}]}),
]
WordBias = Annotated[
    Any,
    AfterValidator(_check_word_bias),
    WithJsonSchema({"type": "array", "prefixItems": [WORD_SCHEMA, {"type": "number"}]}),
]
Layers = Annotated[
    Any,
    AfterValidator(_check_layers),
    WithJsonSchema(
        {"anyOf": [{"enum": ["low", "high"]}, {"type": "array", "items": {"type": "integer"}}]}
    ),
]
StartAndFactor = Annotated[
    list[int | float],
    AfterValidator(_check_start_and_factor),
    WithJsonSchema({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "number"}]}),
]
KeepAlive = Annotated[
    Any,
    AfterValidator(_check_keep_alive),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]}),
]
TokenId = Annotated[int, Field(ge=0)]
TokenIdName = Annotated[str, Field(pattern="^[0-9]{1,9}$")]  # JSON names entries by strings

# The first wrong entry of a list is told; to look for others in thousands takes a second.
WIRE_TYPES: Mapping[Kind, Any] = {
    "float": float,
    "int": int,
    "bool": bool,
    "names": Annotated[list[Name], Field(fail_fast=True)],
    "tokens": Annotated[list[TokenId], Field(fail_fast=True)],
    "words": Annotated[list[Word], Field(fail_fast=True)],
    "alternatives": Annotated[list[Alternatives], Field(fail_fast=True)],
    "token_biases": dict[TokenIdName, float],
    "word_biases": Annotated[list[WordBias], Field(fail_fast=True)],
    "layers": Layers,
    "start_and_factor": StartAndFactor,
    "text": Text,
    "prompt": Prompt,
    "texts": Annotated[list[Text], Field(fail_fast=True)],
    "json": dict[str, Any],
}
