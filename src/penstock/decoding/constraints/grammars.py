"""From what a request says of its text's form to a grammar in llguidance's own terms, in bounds."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llguidance import LLMatcher, regex_to_lark

from penstock.errors import InvalidParameter
from penstock.types import DecodingParams

MAX_SCHEMA_DEPTH = 32
BACKSLASH = "\\"
ANY_OBJECT = '{"type": "object"}'
# As `json.dumps` writes, which models have seen most. Free spacing lets a model write blanks for
# ever, and a schema may not bring it back: these override what is in its `x-guidance`.
JSON_STYLE: Any = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": False,
}


@dataclass(frozen=True, slots=True)
class Grammar:
    """A form in llguidance's JSON, and the request's field that asked for it."""

    field: str
    text: str


def grammar_of(params: DecodingParams) -> Grammar | None:
    """The form that a request asks for, or `None`. Refuses two, and what cannot be one."""
    asked = [name for name in MAKERS if getattr(params, name)]
    if not asked:
        return None
    if len(asked) > 1:
        raise InvalidParameter(
            f"{' and '.join(asked)} each say what form the text has.",
            "Send one of them.",
            param=asked[1],
        )
    (name,) = asked
    value = getattr(params, name)
    _check_unicode(name, value)
    return Grammar(name, MAKERS[name](value))


def _check_unicode(name: str, value: Any) -> None:
    """Refuse half a surrogate pair, which no text can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidParameter(
            f"{name} holds half a surrogate pair.", "Send valid Unicode.", param=name
        ) from error


def _from_schema(text: str) -> str:
    """A JSON schema, given as JSON."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(
            "json_schema is not JSON.", "Send a JSON schema as an object.", param="json_schema"
        ) from error
    if not isinstance(schema, dict):
        raise InvalidParameter(
            "json_schema is not an object.",
            'Send a JSON schema such as {"type": "object"}.',
            param="json_schema",
        )
    if _depth(schema) > MAX_SCHEMA_DEPTH:
        raise InvalidParameter(
            f"json_schema is nested deeper than {MAX_SCHEMA_DEPTH} levels.",
            "Flatten it, or move parts into $defs.",
            param="json_schema",
        )
    return LLMatcher.grammar_from_json_schema(schema, overrides=JSON_STYLE)


def _from_regex(regex: str) -> str:
    r"""A regular expression, which the whole text must match: anchors at its ends say nothing.

    `\d` is a digit of ASCII, as in JSON schemas.
    """
    return _from_lark(f"start: /{regex_to_lark(_without_anchors(regex), 'd')}/")


def _from_choice(texts: tuple[str, ...]) -> str:
    """One of these texts."""
    if not all(texts):
        raise InvalidParameter("choice holds an empty text.", "Remove it.", param="choice")
    return _from_lark("start: " + " | ".join(map(_literal, texts)))


def _literal(text: str) -> str:
    """A text as a grammar spells it: what cannot be printed by its number."""
    if text.isprintable():
        return json.dumps(text, ensure_ascii=False)
    return f"/{''.join(c if c.isalnum() else f'{BACKSLASH}x{{{ord(c):X}}}' for c in text)}/"


def _from_lark(grammar: str) -> str:
    return json.dumps({"grammars": [{"lark_grammar": grammar}]})


MAKERS: Mapping[str, Callable[[Any], str]] = {
    "json_schema": _from_schema,
    "json_object": lambda _: _from_schema(ANY_OBJECT),
    "regex": _from_regex,
    "choice": _from_choice,
    "grammar": _from_lark,
}


def _without_anchors(regex: str) -> str:
    regex = regex.removeprefix("^")
    stem = regex.removesuffix("$")
    num_escapes = len(stem) - len(stem.rstrip("\\"))
    return regex if num_escapes % 2 else stem


def _depth(value: Any) -> int:
    """How deep lists and objects are nested, counted without recursion."""
    depth, level = 0, [value]
    while level := [inner for outer in level for inner in _parts(outer)]:
        depth += 1
    return depth


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
