"""`--set name=value`: what is understood, and how what is not understood is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.cli.assignments import find_strategy, parse_assignments, parse_value
from penstock.decoding.parameters import Parameter
from penstock.decoding.strategies import STRATEGIES
from penstock.errors import InvalidParameter

RANGED = [
    (strategy, parameter)
    for strategy in STRATEGIES.values()
    for parameter in strategy.parameters
    if parameter.minimum is not None and parameter.maximum is not None
]


@pytest.mark.parametrize(
    ("strategy", "assignments", "values"),
    [
        ("sampling", ["temperature=0.5"], {"temperature": 0.5}),
        ("sampling", ["temperature=0"], {"temperature": 0.0}),
        ("sampling", ["top_k=3", "top_k=4"], {"top_k": 4}),
        ("sampling", ["stop=\n\n", "stop=a=b"], {"stop": ["\n\n", "a=b"]}),
        (
            "beam_search",
            ["early_stopping=yes", "num_beams=2"],
            {"early_stopping": True, "num_beams": 2},
        ),
        ("beam_search", ["length_penalty=-1.5"], {"length_penalty": -1.5}),
        ("greedy", [], {}),
        ("greedy", ["choice=yes", "choice=no, sir"], {"choice": ["yes", "no, sir"]}),
        ("greedy", ["regex=[a=]+", "json_object=yes"], {"regex": "[a=]+", "json_object": True}),
        ("greedy", ['json_schema={"type": "null"}'], {"json_schema": {"type": "null"}}),
    ],
)
def test_assignments_become_typed_values(
    strategy: str, assignments: list[str], values: dict[str, object]
) -> None:
    assert parse_assignments(assignments, STRATEGIES[strategy]) == values


@pytest.mark.parametrize(
    ("strategy", "assignment", "message"),
    [
        ("sampling", "temperature=9", "temperature=9 is out of range. Use 0 to 2."),
        ("sampling", "temperature=nan", "temperature=nan is out of range. Use 0 to 2."),
        ("sampling", "temperature=hot", "temperature=hot is not a number. Use 0 to 2."),
        ("sampling", "top_k=1.5", "top_k=1.5 is not a whole number. Use 0 to 1000000."),
        ("sampling", "top_p=", "top_p= is not a number. Use 0 to 1."),
        (
            "sampling",
            "top_p",
            "--set top_p assigns nothing. Write it as name=value: --set top_p=0.9.",
        ),
        (
            "beam_search",
            "early_stopping=maybe",
            "early_stopping=maybe is neither yes nor no. Use true or false.",
        ),
        (
            "greedy",
            "json_schema=object",
            "json_schema=object is not JSON. Say what is wanted in the prompt too: "
            '{"type": "object", "properties": {}}.',
        ),
    ],
)
def test_a_bad_assignment_is_refused_with_its_value_and_range(
    strategy: str, assignment: str, message: str
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parse_assignments([assignment], STRATEGIES[strategy])

    assert str(refused.value) == message


def test_a_parameter_of_another_strategy_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        InvalidParameter, match=r"greedy has no parameter 'top_p'. It has: max_new_tokens"
    ):
        parse_assignments(["top_p=0.5"], STRATEGIES["greedy"])


def test_an_unknown_strategy_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidParameter, match=r"no strategy 'magic'. Use one of: .*beam_search"):
        find_strategy("magic")


@pytest.mark.parametrize(
    ("strategy", "parameter"), RANGED, ids=[f"{s.id}-{p.name}" for s, p in RANGED]
)
def test_both_ends_of_every_range_are_accepted_and_beyond_them_refused(
    strategy: object, parameter: Parameter
) -> None:
    assert parameter.minimum is not None and parameter.maximum is not None

    for end in (parameter.minimum, parameter.maximum):
        assert parse_value(parameter, str(end)) == end
    for beyond in (parameter.minimum - 1, parameter.maximum + 1):
        with pytest.raises(InvalidParameter, match="out of range"):
            parse_value(parameter, str(beyond))


@given(st.text(), st.sampled_from([p for _, p in RANGED]))
def test_any_text_is_a_value_within_range_or_refused_by_name(
    text: str, parameter: Parameter
) -> None:
    try:
        value = parse_value(parameter, text)
    except InvalidParameter as refused:
        assert refused.param == parameter.name
    else:
        assert parameter.minimum is not None and parameter.maximum is not None
        assert parameter.minimum <= value <= parameter.maximum


@pytest.mark.parametrize(
    ("text", "value"), [("high", "high"), ("low", "low"), ("[0, 2]", [0, 2]), ('"low"', "low")]
)
def test_layers_are_named_or_listed(text: str, value: object) -> None:
    assert parse_assignments([f"dola_layers={text}"], find_strategy("dola")) == {
        "dola_layers": value
    }


def test_layers_that_are_neither_are_refused_with_an_example() -> None:
    with pytest.raises(InvalidParameter, match=r"dola_layers=middle is not JSON. .*\[2, 4\]"):
        parse_assignments(["dola_layers=middle"], find_strategy("dola"))
