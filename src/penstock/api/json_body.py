"""Reads JSON bodies strictly, saying where one is malformed, and routes that do so.

A body must say that it is JSON, so that no web page elsewhere can send one without asking.
"""

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

MAX_DEPTH = 64
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKETS = re.compile(rb"[\[\]{}]")


def parse_json(body: bytes) -> Any:
    """The value of a JSON text, or a 400 that says what is wrong and where."""
    _refuse_deep(body)
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"The body is not UTF-8: byte {error.start}.") from error
    except json.JSONDecodeError as error:
        raise HTTPException(
            400,
            f"The body is not valid JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}.",
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise HTTPException(400, "The body holds a number with too many digits.") from error


def _refuse_deep(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in BRACKETS.findall(STRINGS.sub(b"", body)):
        depth += 1 if bracket in (b"[", b"{") else -1
        if depth > MAX_DEPTH:
            raise HTTPException(400, f"The body is nested deeper than {MAX_DEPTH} levels.")


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
