"""`POST /generate-text/`: one prompt through several models, as the comparison service did it."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import GenerateAnswer, GenerateTextAnswer
from penstock.api.playground.asking import understand
from penstock.api.playground.generate import FAILURES, complete, open_generation
from penstock.api.playground.schemas import GenerateTextBody, GenerationFields
from penstock.api.services import Services, ServicesDep
from penstock.errors import PenstockError

router = APIRouter(route_class=JsonRoute, tags=["generate"])


@router.post("/generate-text", include_in_schema=False)
@router.post(
    "/generate-text/",
    summary="Continue a prompt with several models",
    response_model=GenerateTextAnswer,
    responses=FAILURES,
)
async def generate_text(
    body: GenerateTextBody, request: Request, services: ServicesDep
) -> Response:
    """Continue a prompt with several models at once. A failing model never hides the others."""
    names = list(dict.fromkeys(body.models or _comparison_set(services)))
    outcomes = await unless_disconnected(request, _ask_all(services, body, names))
    by_name = dict(zip(names, outcomes, strict=True))
    answer = GenerateTextAnswer(
        generated_texts={
            name: [_opening(outcome) + s.text for s in outcome.sequences]
            for name, outcome in by_name.items()
            if isinstance(outcome, GenerateAnswer)
        },
        errors={name: str(e) for name, e in by_name.items() if isinstance(e, PenstockError)},
    )
    return Response(answer.model_dump_json(), media_type="application/json")


def _opening(answer: GenerateAnswer) -> str:
    return answer.prompt if answer.continues_prompt else ""


def _comparison_set(services: Services) -> Sequence[str]:
    return services.defaults.comparison_models or services.lifecycle.loaded or services.preload


async def _ask_all(
    services: Services, body: GenerateTextBody, names: Sequence[str]
) -> list[GenerateAnswer | PenstockError]:
    return await asyncio.gather(*(_ask(services, body, name) for name in names))


async def _ask(
    services: Services, body: GenerateTextBody, name: str
) -> GenerateAnswer | PenstockError:
    shared = body.model_dump(exclude={"prompt", "models"})
    fields = GenerationFields.model_validate({**shared, "model": name})
    try:
        asked = understand(body.prompt, fields, services.defaults)
        return await complete(services, asked, await open_generation(services, asked))
    except PenstockError as error:
        return error
