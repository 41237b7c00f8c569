"""One place for each parameter: what the code can do, the catalog tells, and everybody follows."""

from penstock.api.playground.schemas import GenerationFields
from penstock.decoding.constraints.grammars import MAKERS
from penstock.decoding.parameters.form import FORM
from penstock.decoding.processors import CHAIN, CONSTRAINT
from penstock.decoding.strategies import PARAMETERS
from penstock.types import NEUTRAL


def test_every_decoding_parameter_is_in_the_catalog_and_on_the_wire() -> None:
    assert set(NEUTRAL) <= PARAMETERS.keys()
    assert set(NEUTRAL) <= GenerationFields.model_fields.keys()


def test_every_processor_is_switched_by_a_parameter() -> None:
    names = [processor.name for processor in CHAIN]

    assert len(set(names)) == len(names)
    assert set(names) - {CONSTRAINT.name} <= PARAMETERS.keys()


def test_the_constraint_is_switched_by_each_parameter_of_the_form_and_comes_first() -> None:
    assert {parameter.name for parameter in FORM} == MAKERS.keys() <= PARAMETERS.keys()
    assert CHAIN[0] is CONSTRAINT


def test_every_parameter_explains_itself() -> None:
    for parameter in PARAMETERS.values():
        assert parameter.description.endswith(".")
        assert parameter.effect.endswith((".", "}.", "]."))
        if parameter.group == "advanced":
            assert parameter.section, parameter.name


def test_what_is_offered_is_accepted() -> None:
    for parameter in PARAMETERS.values():
        if parameter.offered_minimum is not None:
            assert parameter.minimum <= parameter.offered_minimum < parameter.offered_maximum
            assert parameter.offered_maximum <= parameter.maximum
            assert parameter.minimum <= parameter.default <= parameter.maximum
