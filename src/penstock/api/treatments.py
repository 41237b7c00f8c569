"""What a route does with each field of a request, told from the request models themselves. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from penstock.api.openai.fields import Harmless, Refused, Rule

Treatment = Literal["honoured", "harmless", "refused"]
RulesOf = Mapping[type[BaseModel], Sequence[Rule]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTreatment:
    """What is done with one request field. `accepted` are the values at which it is not refused.

    A field inside another has its place in its name: `stream_options.include_usage`. Entries of a
    list have no place.
    """

    name: str
    treatment: Treatment
    accepted: tuple[Any, ...] = ()
    note: str


def treatments_of(
    body: type[BaseModel], rules: Sequence[Rule], inner_rules: RulesOf, prefix: str = ""
) -> Iterator[FieldTreatment]:
    """Every field of a request, and the fields inside those that are honoured, by name.

    `inner_rules` are those of models inside the request.
    """
    by_name = {rule.name: rule for rule in rules}
    for plain_name, field in sorted(body.model_fields.items()):
        name = prefix + (field.alias or plain_name)
        rule = by_name.get(plain_name)
        yield of_rule(name, rule) if rule is not None else _of_field(name, field)
        if rule is not None:
            continue
        for parts in field.metadata:
            if isinstance(parts, Parts):
                yield from parts.treatments(f"{name}.")
        for inner in _models_in(field.annotation):
            yield from treatments_of(inner, inner_rules.get(inner, ()), inner_rules, f"{name}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The fields inside one that a function of ours reads: those it takes, and those it refuses."""

    honoured: Mapping[str, str]
    rules: Sequence[Rule] = ()

    @property
    def known(self) -> frozenset[str]:
        """The names of those that may be sent."""
        harmless = (rule.name for rule in self.rules if isinstance(rule, Harmless))
        return frozenset((*self.honoured, *harmless))

    def named(self, prefix: str) -> "Parts":
        """The same fields inside another."""
        honoured = {prefix + name: note for name, note in self.honoured.items()}
        rules = [replace(rule, name=prefix + rule.name) for rule in self.rules]
        return Parts(honoured=honoured, rules=rules)

    def treatments(self, prefix: str) -> Iterator[FieldTreatment]:
        """The same as for the fields of a model."""
        for name, note in self.honoured.items():
            yield FieldTreatment(name=prefix + name, treatment="honoured", note=note)
        for rule in self.rules:
            yield of_rule(prefix + rule.name, rule)


def of_rule(name: str, rule: Rule) -> FieldTreatment:
    """A field that changes nothing."""
    if isinstance(rule, Refused):
        return FieldTreatment(name=name, treatment="refused", accepted=rule.neutral, note=rule.why)
    return FieldTreatment(name=name, treatment="harmless", note=rule.why)


def _of_field(name: str, field: FieldInfo) -> FieldTreatment:
    """A field that can only be sent at a value that says nothing is refused."""
    note = field.description or ""
    wanted = [one for one in _alternatives(field.annotation) if one is not NoneType]
    silent = [_silent_value(one, field) for one in wanted]
    if None in silent:
        return FieldTreatment(name=name, treatment="honoured", note=note)
    accepted = tuple(values[0] for values in silent if values is not None)
    return FieldTreatment(name=name, treatment="refused", accepted=accepted, note=note)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _silent_value(annotation: Any, field: FieldInfo) -> tuple[Any] | None:
    """The one value of a type that has no other, and that says nothing: `false`, an empty list."""
    values = get_args(annotation)
    if get_origin(annotation) is Literal:
        return (values[0],) if len(values) == 1 and not values[0] else None
    metadata = [*field.metadata, *getattr(annotation, "__metadata__", ())]
    limits = [m for entry in metadata for m in getattr(entry, "metadata", [entry])]
    is_list = get_origin(getattr(annotation, "__origin__", annotation)) is list
    return ([],) if is_list and any(getattr(m, "max_length", None) == 0 for m in limits) else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a value is or holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for inner in get_args(annotation):
        yield from _models_in(inner)
