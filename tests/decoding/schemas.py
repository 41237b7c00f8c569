"""Makes JSON schemas of the usual shapes from a seed, all of whose texts are short."""

from random import Random
from typing import Any

NAMES = ["id", "name", "age", "tags", "price", "is_open", "größe", "a b", "x-y", "$ref_", "null"]
PATTERNS = ["^[a-c]{2}$", "^[0-9]{3}-[0-9]{2}$", "^(red|blue) [A-Z]$", "^é+$"]
FORMATS = ["date", "uuid", "ipv4", "time"]
LONGEST_FORMAT = 36  # of a UUID; a time may have any number of decimals


def make_schema(seed: int) -> dict[str, Any]:
    """A schema, the same for the same seed."""
    random = Random(seed)
    schema = _value(random, depth=3)
    if seed % 5 == 0:
        schema = {
            "$defs": {"part": _leaf(random)},
            "type": "object",
            "properties": {"one": {"$ref": "#/$defs/part"}, "two": schema},
            "required": ["two", "one"],
            "additionalProperties": False,
        }
    return schema


def _value(random: Random, depth: int) -> dict[str, Any]:
    if depth == 0:
        return _leaf(random)
    return random.choice([_leaf, _object, _object, _array, _union, _nullable])(random, depth)


def _leaf(random: Random, depth: int = 0) -> dict[str, Any]:
    return random.choice([_string, _integer, _number, _constant, _enum, _boolean])(random)


def _string(random: Random) -> dict[str, Any]:
    kind = random.randrange(4)
    if kind == 0:
        return {"type": "string", "pattern": random.choice(PATTERNS), "maxLength": 12}
    if kind == 1:
        return {"type": "string", "format": random.choice(FORMATS), "maxLength": LONGEST_FORMAT}
    low = random.randrange(3)
    return {"type": "string", "minLength": low, "maxLength": low + random.randrange(1, 5)}


def _integer(random: Random) -> dict[str, Any]:
    low = random.randrange(-1200, 1200)
    high = low + random.randrange(1, 2000)
    if random.random() < 0.3:
        return {"type": "integer", "exclusiveMinimum": low - 1, "exclusiveMaximum": high + 1}
    return {"type": "integer", "minimum": low, "maximum": high}


def _number(random: Random) -> dict[str, Any]:
    return {"type": "integer", "multipleOf": random.choice([2, 5]), "minimum": 0, "maximum": 99}


def _constant(random: Random) -> dict[str, Any]:
    return {"const": random.choice(["on", 7, True, None, -1.5, ["a", 1], {"k": "v"}])}


def _enum(random: Random) -> dict[str, Any]:
    return {"enum": random.sample(["red", "é🦀", 'q"uote', 1, 2.5, False, None, "a\\b\n"], 3)}


def _boolean(random: Random) -> dict[str, Any]:
    return {"type": random.choice(["boolean", "null"])}


def _object(random: Random, depth: int) -> dict[str, Any]:
    names = random.sample(NAMES, random.randrange(1, 4))
    return {
        "type": "object",
        "properties": {name: _value(random, depth - 1) for name in names},
        "required": [name for name in names if random.random() < 0.7],
        "additionalProperties": False,
    }


def _array(random: Random, depth: int) -> dict[str, Any]:
    if random.random() < 0.3:
        items = [_leaf(random), _leaf(random)]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": 2}
    low = random.randrange(2)
    return {"type": "array", "items": _value(random, depth - 1), "minItems": low, "maxItems": 2}


def _union(random: Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [_value(random, depth - 1), _leaf(random)]}


def _nullable(random: Random, depth: int) -> dict[str, Any]:
    return {"type": ["string", "null"], "maxLength": 3}
