"""The lines of a batch's input file: what is wrong with them, and what they ask. Pure but reading.

A line's number counts from 1, blank lines included, as editors count.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_LINES = 50_000
MAX_PROBLEMS = 100
MAX_CUSTOM_ID = 512
FIELDS = {"custom_id", "method", "url", "body"}
UNFIT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Line:
    """A request of a batch."""

    number: int
    custom_id: str
    body: bytes  # JSON


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file cannot be used, and where."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None

    def shown(self) -> dict[str, Any]:
        """As it goes on the wire."""
        return {
            "code": self.code,
            "message": self.message,
            "line": self.line,
            "param": self.param,
        }


class _Unfit(Exception):
    """A line cannot be used."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def check(path: Path, endpoint: str, max_line_bytes: int) -> tuple[int, list[Problem]]:
    """How many requests there are, and the first problems of the file. Reads all of it."""
    problems: list[Problem] = []
    line_of: dict[str, int] = {}
    for number, text in _texts(path, max_line_bytes):
        try:
            line = _parsed(number, text, endpoint, max_line_bytes)
            if line.custom_id in line_of:
                message = f"custom_id is that of line {line_of[line.custom_id]} too. Use each once."
                raise _Unfit("duplicate_custom_id", message, "custom_id")
            line_of[line.custom_id] = number
        except _Unfit as error:
            problems.append(Problem(error.code, f"Line {number}: {error}", number, error.param))
        if len(problems) == MAX_PROBLEMS:
            break
        if len(line_of) > MAX_LINES:
            message = f"A batch has at most {MAX_LINES} requests. Send several batches."
            problems.append(Problem("too_many_requests", message))
            break
    if not line_of and not problems:
        problems.append(Problem("empty_file", "The file holds no request. Send one per line."))
    return len(line_of), problems


def read(path: Path, endpoint: str, max_line_bytes: int) -> Iterator[Line]:
    """The requests of a file that was checked, in order."""
    for number, text in _texts(path, max_line_bytes):
        yield _parsed(number, text, endpoint, max_line_bytes)


def _texts(path: Path, max_line_bytes: int) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank. Of one that is too long, as much as shows that it is."""
    with path.open("rb") as file:
        number = 0
        while text := file.readline(max_line_bytes + 1):
            number += 1
            rest = text
            while rest and not rest.endswith(b"\n"):  # to the end of a line that is too long
                rest = file.readline(max_line_bytes)
            if text.strip():
                yield number, text.removeprefix(b"\xef\xbb\xbf") if number == 1 else text


def _parsed(number: int, text: bytes, endpoint: str, max_line_bytes: int) -> Line:
    if len(text) > max_line_bytes:
        raise _Unfit("line_too_long", f"It is over {max_line_bytes} bytes. Send less at once.")
    try:
        value = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _Unfit("invalid_json_line", "It is not valid JSON. Write one object.") from error
    if not isinstance(value, dict):
        raise _Unfit("invalid_json_line", "It is no JSON object. Write one object.")
    for name in sorted(FIELDS - value.keys()):
        raise _Unfit("missing_required_parameter", f"{name} is missing. Send it.", name)
    for name in sorted(value.keys() - FIELDS):
        message = f"{name[:40]!a} is not a field of a line. Remove it."
        raise _Unfit("unknown_parameter", message)
    _check_values(value, endpoint)
    return Line(number, value["custom_id"], json.dumps(value["body"]).encode())


def _check_values(value: Mapping[str, Any], endpoint: str) -> None:
    custom_id, body = value["custom_id"], value["body"]
    if not isinstance(custom_id, str) or not 1 <= len(custom_id) <= MAX_CUSTOM_ID:
        raise _Unfit(
            "invalid_custom_id",
            f"custom_id is no text of 1 to {MAX_CUSTOM_ID} characters.",
            "custom_id",
        )
    if UNFIT.search(custom_id):
        raise _Unfit("invalid_custom_id", "custom_id is not valid Unicode.", "custom_id")
    if value["method"] != "POST":
        raise _Unfit("invalid_method", "method is not POST. Use POST.", "method")
    if value["url"] != endpoint:
        raise _Unfit("mismatched_endpoint", f"url is not {endpoint}, the batch's own.", "url")
    if not isinstance(body, dict):
        raise _Unfit("invalid_body", "body is no object. Send a request as one.", "body")
    if body.get("stream"):
        raise _Unfit("invalid_body", "body.stream is set. A batch has no streams.", "body.stream")
