"""Answers as the lines of output and error files. Pure."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from penstock.jobs.batches.batch import Result
from penstock.jobs.batches.lines import Line


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application answered to one request."""

    status: int
    request_id: str
    body: Any  # JSON

    @property
    def code(self) -> str | None:
        """The code of the error that it tells, if it tells one."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return error.get("code") if isinstance(error, dict) else None


def answered(line: Line, answer: Answer) -> Result:
    """The result of a line that was asked."""
    response = {
        "status_code": answer.status,
        "request_id": answer.request_id,
        "body": answer.body,
    }
    return _result(line, is_error=answer.status != 200, response=response, error=None)


def unanswered(line: Line, code: str, message: str) -> Result:
    """The result of a line that was not asked."""
    return _result(line, is_error=True, response=None, error={"code": code, "message": message})


def _result(line: Line, *, is_error: bool, response: Any, error: Any) -> Result:
    content = {
        "id": f"batch_req_{uuid.uuid4().hex}",
        "custom_id": line.custom_id,
        "response": response,
        "error": error,
    }
    return Result(line.number, is_error, json.dumps(content))
