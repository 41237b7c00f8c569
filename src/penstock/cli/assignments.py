"""Reads `name=value` as typed for a decoding strategy. Knows parameters only by the catalog."""

import json
from collections.abc import Iterable
from contextlib import suppress
from json import JSONDecodeError
from typing import Any

from penstock.decoding.parameters import Parameter
from penstock.decoding.strategies import STRATEGIES
from penstock.decoding.strategies.interface import Strategy
from penstock.errors import InvalidParameter

LISTS = {"names", "words", "alternatives", "texts"}
AS_JSON = {"tokens", "layers", "token_biases", "word_biases", "start_and_factor", "json"}
YES_AND_NO = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def find_strategy(strategy_id: str) -> type[Strategy]:
    """The strategy with this id."""
    if strategy_id not in STRATEGIES:
        raise InvalidParameter(
            f"There is no strategy {strategy_id!r}.",
            f"Use one of: {', '.join(STRATEGIES)}.",
            param="strategy",
        )
    return STRATEGIES[strategy_id]


def parse_assignments(assignments: Iterable[str], strategy: type[Strategy]) -> dict[str, Any]:
    """The parameters that `assignments` set, each checked; a list is set one item at a time."""
    parameters = {parameter.name: parameter for parameter in strategy.parameters}
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, text = _split(assignment)
        if name not in parameters:
            raise InvalidParameter(
                f"Strategy {strategy.id} has no parameter {name!r}.",
                f"It has: {', '.join(parameters)}.",
                param=name,
            )
        if parameters[name].kind == "strings":
            values.setdefault(name, []).append(text)
        elif parameters[name].kind in LISTS:
            values[name] = _items(values.get(name, []), text)
        else:
            values[name] = parse_value(parameters[name], text)
    return values


def parse_value(parameter: Parameter, text: str) -> Any:
    """The value that `text` stands for, within the parameter's range."""
    if parameter.kind == "bool":
        return _parse_bool(parameter, text)
    if parameter.kind == "layers" and text in ("low", "high"):
        return text
    if parameter.kind in AS_JSON:
        return _parse_json(parameter, text)
    if parameter.kind in ("text", "prompt"):
        return text
    value = _parse_number(parameter, text)
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise InvalidParameter(
            f"{parameter.name}={text} is out of range.", _range(parameter), param=parameter.name
        )
    return value


def _split(assignment: str) -> tuple[str, str]:
    name, equals, text = assignment.partition("=")
    if not (name and equals):
        raise InvalidParameter(
            f"--set {assignment} assigns nothing.", "Write it as name=value: --set top_p=0.9."
        )
    return name.strip(), text


def _parse_bool(parameter: Parameter, text: str) -> bool:
    try:
        return YES_AND_NO[text.lower()]
    except KeyError:
        raise InvalidParameter(
            f"{parameter.name}={text} is neither yes nor no.",
            "Use true or false.",
            param=parameter.name,
        ) from None


def _items(before: list[Any], text: str) -> list[Any]:
    """A list set as a whole, in JSON, or with one more text in it."""
    if text.startswith("["):
        with suppress(JSONDecodeError):
            return list(json.loads(text))
    return [*before, text]


def _parse_json(parameter: Parameter, text: str) -> Any:
    try:
        return json.loads(text)
    except JSONDecodeError:
        raise InvalidParameter(
            f"{parameter.name}={text} is not JSON.", parameter.effect, param=parameter.name
        ) from None


def _parse_number(parameter: Parameter, text: str) -> float | int:
    try:
        return float(text) if parameter.kind == "float" else int(text)
    except ValueError:
        kind = "a number" if parameter.kind == "float" else "a whole number"
        raise InvalidParameter(
            f"{parameter.name}={text} is not {kind}.", _range(parameter), param=parameter.name
        ) from None


def _range(parameter: Parameter) -> str:
    low, high = parameter.minimum, parameter.maximum
    if low is None:
        return "Use a number." if high is None else f"Use {high} or less."
    return f"Use {low} or more." if high is None else f"Use {low} to {high}."
