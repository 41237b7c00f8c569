"""Reads JSON bodies strictly, saying where one is malformed, and routes that do so.

A body must say that it is JSON, so that no web page elsewhere can send one without asking.
"""

import json
import re
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import accumulate
from math import isfinite
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

MAX_DEPTH = 64
MOST_DIGITS = 4000  # Python reads no integers of more
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
NO_BRACKETS = bytes(byte for byte in range(256) if byte not in STEPS)
# Names (strings before a colon), other strings, and brackets.
MARKS = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:|"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class BadBody(HTTPException):
    """A body that is no JSON; the field at which it is not, where that can be said.

    A value that is none is a 422, like other values that a field may not have.
    """

    def __init__(self, message: str, param: str | None = None, *, status: int = 400) -> None:
        super().__init__(status, message)
        self.param = param


class _NotANumber(float):
    """Stands for `NaN`, `Infinity` and numbers too large: `1e400`, thousands of digits."""


def parse_json(body: bytes) -> Any:
    """The value of a JSON text, or a 400 that says what is wrong and where."""
    _refuse_deep(body)
    found: list[str] = []

    def note(constant: str) -> _NotANumber:
        found.append(constant)
        return _NotANumber("nan")

    try:
        text = body.decode("utf-8-sig")
        value = _parsed(text, note)
    except UnicodeDecodeError as error:
        raise BadBody(f"The body is not UTF-8: byte {error.start}.") from error
    except json.JSONDecodeError as error:
        raise BadBody(
            f"The body is not valid JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}.",
        ) from error
    if found:
        place = ".".join(_place(value) or [])[:200]
        named = f"{place}={found[0]}" if place else f"The body holds {found[0]}, which"
        raise BadBody(
            f"{named} is no number or too large. Use a finite number.", place or None, status=422
        )
    return value


def _parsed(text: str, note: Callable[[str], float]) -> Any:
    finite = partial(_float, note)
    try:
        return json.loads(text, parse_constant=note, parse_float=finite)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number of thousands of digits
        integer = partial(_integer, note)
        return json.loads(text, parse_constant=note, parse_float=finite, parse_int=integer)


def _float(note: Callable[[str], float], digits: str) -> float:
    value = float(digits)
    return value if isfinite(value) else note(digits[:20])


def _integer(note: Callable[[str], float], digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else note(f"{digits[:20]}…")


def _place(value: Any) -> list[str] | None:
    """Where the first thing stands that is no number."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in entries:
        if isinstance(inner, _NotANumber):
            return [str(name)]
        if isinstance(inner, dict | list) and (rest := _place(inner)) is not None:
            return [str(name), *rest]
    return None


def _refuse_deep(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH or _depth(body) <= MAX_DEPTH:
        return
    depth, field = 0, b""
    for mark in MARKS.finditer(body):
        if mark[1]:  # a name of the outermost object
            field = mark[1] if depth == 1 else field
        elif mark[0] in (b"[", b"{"):
            depth += 1
        elif mark[0] in (b"]", b"}"):
            depth -= 1
        if depth > MAX_DEPTH:
            name = field.decode("utf-8", "replace")[:200]
            named = f"{name} is" if name else "The body is"
            raise BadBody(f"{named} nested deeper than {MAX_DEPTH} levels.", name or None)


def _depth(body: bytes) -> int:
    brackets = STRINGS.sub(b"", body).translate(None, NO_BRACKETS)
    return max(accumulate(map(STEPS.__getitem__, brackets)), default=0)


class _JsonRequest(Request):
    async def json(self) -> Any:
        return parse_json(await self.body())


class JsonRoute(APIRoute):
    """A route whose body, if it takes one, is strict JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_json(request: Request) -> Response:
            if self.body_field is not None and not self._may_lack(request):
                _refuse_other_media(request)
            return await answer(_JsonRequest(request.scope, request.receive))

        return answer_json

    def _may_lack(self, request: Request) -> bool:
        """There is no body, and none is needed."""
        headers = request.headers
        is_bare = not {"content-type", "transfer-encoding"} & set(headers.keys())
        is_empty = is_bare and headers.get("content-length", "0") == "0"
        return (
            is_empty
            and self.body_field is not None
            and not self.body_field.field_info.is_required()
        )


def _refuse_other_media(request: Request) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise HTTPException(
            415, f"The body is {media or 'of no stated type'}. Send Content-Type: application/json."
        )
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "The body is compressed. Send it as it is.")
