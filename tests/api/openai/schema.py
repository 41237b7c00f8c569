"""Checks values against the schemas of an OpenAPI description, and fails on a keyword it ignores.

Reads `nullable` as OpenAPI 3.0 did: the description of OpenAI's API is written so, whatever its
version says.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

ANNOTATIONS = {
    "description", "title", "default", "example", "examples", "deprecated", "format",
    "discriminator", "nullable", "readOnly", "writeOnly", "externalDocs",
}  # fmt: skip
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


class Description:
    """An OpenAPI description's schemas."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.schemas: Mapping[str, Any] = document["components"]["schemas"]
        self.paths: Mapping[str, Any] = document["paths"]

    def problems(self, value: Any, name: str) -> list[str]:
        """What is wrong with a value that should be a `name`."""
        return list(self._problems(value, self.schemas[name], name))

    def property_names(self, name: str) -> set[str]:
        """The properties of an object schema, its parts' included."""
        schema = self._resolved(self.schemas[name])
        names = set(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            resolved = self._resolved(part)
            names |= set(resolved.get("properties", {}))
            for inner in resolved.get("allOf", []):
                names |= set(self._resolved(inner).get("properties", {}))
        return names

    def nested_names(self, name: str, but: Container[str] = ()) -> set[str]:
        """The properties of a request and of all that is in it: `stream_options.include_usage`.

        What is in objects of the types `but` is left out: they are refused as a whole.
        """
        return set(self._nested(self.schemas[name], "", 4, but))

    def _nested(
        self, schema: Mapping[str, Any], prefix: str, depth: int, but: Container[str]
    ) -> Iterator[str]:
        schema = self._resolved(schema)
        own_type = schema.get("properties", {}).get("type", {}).get("enum", [])
        if not depth or any(kind in but for kind in own_type):
            return
        parts = [part for key in ("anyOf", "oneOf", "allOf") for part in schema.get(key, [])]
        for part in (*parts, *([schema["items"]] if "items" in schema else [])):
            yield from self._nested(part, prefix, depth, but)
        for name, inner in schema.get("properties", {}).items():
            yield prefix + name
            yield from self._nested(inner, f"{prefix}{name}.", depth - 1, but)

    def types(self, name: str) -> set[str]:
        """The types of objects that may stand where there is a `name`."""
        return set(self._types(self.schemas[name]))

    def _types(self, schema: Mapping[str, Any]) -> Iterator[str]:
        schema = self._resolved(schema)
        for key in ("anyOf", "oneOf"):
            for part in schema.get(key, []):
                yield from self._types(part)
        yield from schema.get("properties", {}).get("type", {}).get("enum", [])

    def query_names(self, path: str) -> set[str]:
        """What may stand after the `?` of an address that is read."""
        told = self.paths[path]["get"].get("parameters", [])
        return {parameter["name"] for parameter in told if parameter["in"] == "query"}

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]] | {
                key: schema[key] for key in schema if key != "$ref"
            }
        return schema

    def _problems(self, value: Any, schema: Mapping[str, Any], place: str) -> Iterator[str]:
        schema = self._resolved(schema)
        if value is None and schema.get("nullable"):
            return
        for keyword, wanted in schema.items():
            if keyword in ANNOTATIONS or keyword.startswith("x-"):
                continue
            yield from getattr(self, f"_check_{keyword}")(value, wanted, place)

    def _check_type(self, value: Any, wanted: str, place: str) -> Iterator[str]:
        is_bool_for_number = isinstance(value, bool) and wanted in ("integer", "number")
        if not isinstance(value, TYPES[wanted]) or is_bool_for_number:
            yield f"{place} is {value!r}, no {wanted}"

    def _check_enum(self, value: Any, wanted: list[Any], place: str) -> Iterator[str]:
        if value not in wanted:
            yield f"{place} is {value!r}, none of {wanted}"

    def _check_required(self, value: Any, wanted: list[str], place: str) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (f"{place} lacks {name}" for name in wanted if name not in value)

    def _check_properties(self, value: Any, wanted: dict[str, Any], place: str) -> Iterator[str]:
        if isinstance(value, dict):
            for name in value.keys() & wanted.keys():
                yield from self._problems(value[name], wanted[name], f"{place}.{name}")

    def _check_additionalProperties(self, value: Any, wanted: Any, place: str) -> Iterator[str]:  # noqa: N802
        if isinstance(value, dict) and isinstance(wanted, dict):
            for name, entry in value.items():
                yield from self._problems(entry, wanted, f"{place}.{name}")

    def _check_items(self, value: Any, wanted: dict[str, Any], place: str) -> Iterator[str]:
        if isinstance(value, list):
            for i, entry in enumerate(value):
                yield from self._problems(entry, wanted, f"{place}[{i}]")

    def _check_anyOf(self, value: Any, wanted: list[Any], place: str) -> Iterator[str]:  # noqa: N802
        found = [list(self._problems(value, schema, place)) for schema in wanted]
        if all(found):
            yield f"{place} fits nothing: {found}"

    _check_oneOf = _check_anyOf  # noqa: N815

    def _check_allOf(self, value: Any, wanted: list[Any], place: str) -> Iterator[str]:  # noqa: N802
        for schema in wanted:
            yield from self._problems(value, schema, place)

    def _check_minItems(self, value: Any, wanted: int, place: str) -> Iterator[str]:  # noqa: N802
        if len(value) < wanted:
            yield f"{place} has {len(value)} entries"

    def _check_maxItems(self, value: Any, wanted: int, place: str) -> Iterator[str]:  # noqa: N802
        if isinstance(value, list) and len(value) > wanted:
            yield f"{place} has {len(value)} entries"

    def _check_exclusiveMinimum(self, value: Any, wanted: Any, place: str) -> Iterator[str]:  # noqa: N802
        if isinstance(value, int | float) and value <= 0 and wanted is True:
            yield f"{place} is not above 0"

    def _check_minimum(self, value: Any, wanted: float, place: str) -> Iterator[str]:
        if isinstance(value, int | float) and value < wanted:
            yield f"{place} is below {wanted}"

    def _check_maximum(self, value: Any, wanted: float, place: str) -> Iterator[str]:
        if isinstance(value, int | float) and value > wanted:
            yield f"{place} is over {wanted}"

    def _check_minLength(self, value: Any, wanted: int, place: str) -> Iterator[str]:  # noqa: N802
        if isinstance(value, str) and len(value) < wanted:
            yield f"{place} is shorter than {wanted}"

    def _check_maxLength(self, value: Any, wanted: int, place: str) -> Iterator[str]:  # noqa: N802
        if isinstance(value, str) and len(value) > wanted:
            yield f"{place} is longer than {wanted}"
