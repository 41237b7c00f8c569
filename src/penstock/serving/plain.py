"""Values as plain JSON and back, by their type hints: what may cross a process boundary.

A dataclass or a named tuple becomes the list of its fields, a union a pair of which member and its
value. Nothing that could run code is ever read, and nothing outside the standard library is
imported.
"""

import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from penstock import errors
from penstock.errors import PenstockError

Convert = Callable[[Any], Any]
SCALARS = (bool, int, float, str)
SEQUENCES = (list, Sequence)
MAPPINGS = (dict, Mapping)


@dataclass(frozen=True, slots=True)
class Codec:
    """How values of one type become plain and come back. `accepts` tells them from others."""

    encode: Convert
    decode: Convert
    accepts: Callable[[Any], bool]


def _same(value: Any) -> Any:
    return value


@functools.cache
def codec_of(hint: Any) -> Codec:
    """The codec for a type hint. Raises `TypeError` for a kind of value that cannot cross."""
    if hint is None or hint is type(None):
        return Codec(_same, _same, lambda value: value is None)
    if hint is Any:
        return Codec(_same, _same, lambda value: True)
    if isinstance(hint, type) and get_origin(hint) is None:
        return _codec_of_class(hint)
    return _codec_of_form(hint, get_origin(hint), get_args(hint))


def _codec_of_class(kind: type) -> Codec:
    if kind in SCALARS:
        return Codec(_same, _same, lambda value: type(value) is kind)
    if issubclass(kind, Enum):
        return Codec(lambda value: value.value, kind, lambda value: isinstance(value, kind))
    if issubclass(kind, Path):
        return Codec(str, kind, lambda value: isinstance(value, kind))
    if issubclass(kind, BaseException):
        return Codec(encode_error, decode_error, lambda value: isinstance(value, BaseException))
    if is_dataclass(kind):
        return _codec_of_record(kind, tuple(field.name for field in fields(kind)))
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _codec_of_record(kind, kind._fields)
    raise TypeError(f"{kind} cannot be sent to another process.")


def _codec_of_form(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> Codec:
    if origin is Literal:
        return Codec(_same, _same, lambda value: value in arguments)
    if origin in (types.UnionType, typing.Union):
        return _codec_of_union(tuple(codec_of(member) for member in arguments))
    if origin is tuple and arguments[1:] == (...,):
        return _codec_of_items(codec_of(arguments[0]), tuple)
    if origin is tuple:
        return _codec_of_tuple(tuple(codec_of(member) for member in arguments))
    if origin in SEQUENCES:
        return _codec_of_items(codec_of(arguments[0]), list)
    if origin in MAPPINGS and arguments[0] is str:
        return _codec_of_mapping(codec_of(arguments[1]))
    raise TypeError(f"{hint} cannot be sent to another process.")


def _codec_of_record(kind: type, names: tuple[str, ...]) -> Codec:
    hints = typing.get_type_hints(kind)
    codecs = tuple(codec_of(hints[name]) for name in names)
    encoders = tuple((n, c.encode) for n, c in zip(names, codecs, strict=True))
    decoders = tuple((n, c.decode) for n, c in zip(names, codecs, strict=True))

    def encode(value: Any) -> list[Any]:
        return [encode_field(getattr(value, name)) for name, encode_field in encoders]

    def decode(plain: Any) -> Any:
        pairs = zip(decoders, plain, strict=True)
        return kind(**{name: decode_field(item) for (name, decode_field), item in pairs})

    return Codec(encode, decode, lambda value: isinstance(value, kind))


def _codec_of_union(members: tuple[Codec, ...]) -> Codec:
    def encode(value: Any) -> Any:
        if value is None:
            return None
        for place, member in enumerate(members):
            if member.accepts(value):
                return [place, member.encode(value)]
        raise TypeError(f"{value!r} is of none of the types that may be sent here.")

    def decode(plain: Any) -> Any:
        return None if plain is None else members[plain[0]].decode(plain[1])

    return Codec(encode, decode, lambda value: any(m.accepts(value) for m in members))


def _codec_of_items(item: Codec, kind: type) -> Codec:
    if item.encode is _same:
        return Codec(list, kind, lambda value: isinstance(value, kind))
    return Codec(
        lambda values: [item.encode(value) for value in values],
        lambda plain: kind(item.decode(value) for value in plain),
        lambda value: isinstance(value, kind),
    )


def _codec_of_tuple(members: tuple[Codec, ...]) -> Codec:
    return Codec(
        lambda values: [c.encode(value) for c, value in zip(members, values, strict=True)],
        lambda plain: tuple(c.decode(value) for c, value in zip(members, plain, strict=True)),
        lambda value: isinstance(value, tuple),
    )


def _codec_of_mapping(item: Codec) -> Codec:
    return Codec(
        lambda values: {key: item.encode(value) for key, value in values.items()},
        lambda plain: {key: item.decode(value) for key, value in plain.items()},
        lambda value: isinstance(value, Mapping),
    )


def encode_error(error: BaseException) -> list[str | None]:
    """An error as plain values: one of ours with its words, any other by its text alone."""
    if not isinstance(error, PenstockError):
        return [None, str(error) or type(error).__name__, None, None]
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return [kind.__name__, error.problem, error.hint, error.param]


def decode_error(plain: Any) -> Exception:
    """The error again: of the same class if it is one of ours, else a `RuntimeError`."""
    name, problem, hint, param = plain
    if name is None:
        return RuntimeError(problem)
    kind = getattr(errors, name)
    assert issubclass(kind, PenstockError)
    error: PenstockError = kind.__new__(kind)
    PenstockError.__init__(error, problem, hint, param=param)
    return error
