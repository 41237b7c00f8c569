"""The rows that an evaluation is asked for: those of its body, or of an uploaded file."""

import asyncio
from typing import TYPE_CHECKING

from penstock.api.evaluations.schemas import EvaluationBody
from penstock.api.services import Services
from penstock.errors import EvaluationError

if TYPE_CHECKING:
    from penstock.evaluation.examples import Examples


async def examples_of(body: EvaluationBody, services: Services, owner: str) -> "Examples":
    """The rows. Raises `EvaluationError` and `UnknownFile`."""
    from penstock.api.evaluations.work import rows_of  # noqa: PLC0415  # see routes
    from penstock.evaluation.examples import parse_examples  # noqa: PLC0415

    if (body.rows is None) == (body.file is None):
        raise EvaluationError(
            "An evaluation needs either rows or a file.", "Send one of them.", param="rows"
        )
    if body.file is None:
        return rows_of(body)
    file = await services.lasting.files.get(owner, body.file)
    content = await asyncio.to_thread(services.lasting.files.path(file).read_bytes)
    return await asyncio.to_thread(
        parse_examples, content, name=file.filename, skip_bad_rows=body.skip_bad_rows
    )
