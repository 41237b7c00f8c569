"""Runs a model's Jinja template with nothing in reach, within limits of size and time.

A template is code from a stranger: it sees plain data, may change none of it, and ends.
"""

import ctypes
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from jinja2 import Template, TemplateError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import do_indent
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MAX_CHARACTERS = 1 << 20  # of the text, and of anything a template makes on the way to it
MAX_SECONDS = 2.0
MAX_DIGITS = 64
PADDING_METHODS = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})
REMOVED_FILTERS = (
    "batch", "center", "format", "pprint", "random", "slice", "urlize", "wordwrap", "xmlattr",
)  # fmt: skip
REMOVED_GLOBALS = ("cycler", "joiner", "lipsum")
SEQUENCES = (str, bytes, list, tuple)
T = TypeVar("T")


class TemplateLimit(TemplateError):
    """A template wanted more time or text than it may have."""


def render(source: str, variables: Mapping[str, Any]) -> str:
    """The template's text. Raises `TemplateError`, or whatever mistake its author made."""
    return _within_time(lambda: _join(_compiled(source).generate(**variables)))


def _join(pieces: Iterable[str]) -> str:
    text: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        _check_size(length)
        text.append(piece)
    return "".join(text)


def _within_time(function: Callable[[], T]) -> T:
    """The function's result, computed on a thread that is ended when its time is over."""
    result: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            result.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="template", daemon=True)
    thread.start()
    thread.join(MAX_SECONDS)
    if thread.is_alive() and thread.ident is not None:
        # Arrives between two steps of the interpreter, wherever the template is.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(TemplateLimit)
        )
        raise TemplateLimit(f"it takes more than {MAX_SECONDS:g} seconds")
    if errors:
        raise errors[0]
    return result[0]


@lru_cache(maxsize=16)
def _compiled(source: str) -> Template:
    environment = _Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters |= {
        "tojson": _to_json,
        "indent": _indent,
        "join": _join_filter,
        "replace": _replace,
    }
    for name in REMOVED_FILTERS:
        del environment.filters[name]
    for name in REMOVED_GLOBALS:
        del environment.globals[name]
    environment.globals |= {
        "raise_exception": _raise,
        "strftime_now": lambda form: datetime.now().astimezone().strftime(form),
        "namespace": _Namespace,
    }
    return environment.from_string(source)


class _Generator(CodeGenerator):
    """Has `a ~ b` go through the sandbox, which ordinary Jinja leaves alone."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.join((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Sandbox(ImmutableSandboxedEnvironment):
    code_generator_class = _Generator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        return _join(pieces)

    @staticmethod
    def join(parts: Iterable[Any]) -> str:
        return _join(map(str, parts))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("powers are not for templates")
        if operator == "%" and isinstance(left, str | bytes):
            raise SecurityError("format strings are not for templates")
        sizes = _size(left), _size(right)
        if isinstance(left, SEQUENCES) or isinstance(right, SEQUENCES):
            _check_size(sizes[0] * sizes[1] if operator == "*" else sum(sizes))
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> None:
        """Leave `str.format` as it is, so that `call` knows it and refuses it."""

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if isinstance(owner, str | bytes):
            if name in PADDING_METHODS or name.startswith("format"):
                raise SecurityError(f"{name} is not for templates")
            if name == "replace":
                return _replace(str(owner), *map(str, args[:2]))
            if name == "join":
                return str(owner).join(_bounded(args[0], len(owner)))
        return super().call(__context, __obj, *args, **kwargs)


class _Generation(Extension):
    """`{% generation %}` marks what an assistant wrote, for training; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012  # as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(Namespace):
    """A namespace without the names by which Python's insides are reached."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *given = args
        attributes = dict(*given, **kwargs)
        for name in attributes:
            _refuse_inner(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_inner(name)
        super().__setitem__(name, value)


def _refuse_inner(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"{name!r} is not a name for a namespace")


def _size(value: Any) -> int:
    """How large a value is, as far as it decides how large one made of it becomes."""
    if isinstance(value, SEQUENCES):
        return len(value)
    if isinstance(value, int) and not isinstance(value, bool):
        _check_digits(value)
        return abs(value) if abs(value) <= MAX_CHARACTERS else MAX_CHARACTERS + 1
    return 1


def _check_digits(value: int) -> None:
    if value.bit_length() > MAX_DIGITS:
        raise TemplateLimit("it makes a huge number")


def _check_size(size: int) -> None:
    if size > MAX_CHARACTERS:
        raise TemplateLimit(f"it makes more than {MAX_CHARACTERS} characters")


def _bounded(parts: Iterable[Any], separator_length: int) -> Iterator[str]:
    """The parts as strings, as long as all of them joined are not too long."""
    length = 0
    for part in map(str, parts):
        length += len(part) + separator_length
        _check_size(length)
        yield part


def _replace(text: object, old: str, new: str) -> str:
    """Also in place of Jinja's filter, which counts how often it may."""
    whole = str(text)
    _check_size(len(whole) + whole.count(old) * len(new))
    return whole.replace(old, new)


def _indent(text: str, width: int = 4, first: bool = False, blank: bool = False) -> str:
    _check_size(len(text) + (text.count("\n") + 1) * width)
    return do_indent(text, width, first, blank)


def _join_filter(parts: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    named = parts if attribute is None else (_attribute(part, attribute) for part in parts)
    return separator.join(_bounded(named, len(separator)))


def _attribute(part: Any, name: str) -> Any:
    return part.get(name, "") if isinstance(part, Mapping) else ""


def _raise(message: object) -> None:
    raise TemplateError(str(message))


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
    """As transformers has it: no HTML escapes. `indent` up to 8."""
    wanted = None if indent is None else max(0, min(int(indent), 8))
    known = {name: more[name] for name in ("separators", "sort_keys") if name in more}
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=wanted, **known)
