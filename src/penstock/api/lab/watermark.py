"""`POST /lab/detect-watermark`: whether a text holds more green tokens than chance would have."""

from fastapi import APIRouter, Request
from pydantic import Field

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.lab.score import TextBody
from penstock.api.playground.answers import Answer
from penstock.api.playground.generate import FAILURES
from penstock.api.playground.wire_types import Text
from penstock.api.services import ServicesDep
from penstock.types import LIMITS, NEUTRAL

router = APIRouter(route_class=JsonRoute, tags=["lab"])
MAX_CHARACTERS = 50_000  # each token after another takes a shuffle of the vocabulary
LEAST_GAMMA, MOST_GAMMA = LIMITS["watermark_gamma"]
MOST_KEY = int(LIMITS["watermark_key"][1])


class DetectBody(TextBody):
    """`POST /lab/detect-watermark`."""

    text: Text = Field(min_length=1, max_length=MAX_CHARACTERS, description="The text.")
    watermark_gamma: float = Field(
        NEUTRAL["watermark_gamma"],
        ge=LEAST_GAMMA,
        le=MOST_GAMMA,
        description="As it was when the text was written.",
    )
    watermark_key: int | None = Field(
        None, ge=1, le=MOST_KEY, description="Likewise; left out, the server's own."
    )
    each_pair_once: bool = Field(
        True,
        description="Count a token after another once only, so that repetitions prove nothing.",
    )


class DetectAnswer(Answer):
    """How many green tokens a text has, and how likely so many are without a watermark."""

    model: str
    num_tokens: int
    num_scored: int = Field(description="Tokens that are green or not; never the first.")
    num_green: int
    expected_green: float = Field(description="How many there would be without a watermark.")
    z_score: float = Field(
        description="By how many standard deviations there are more. 4 is a clear yes."
    )
    p_value: float = Field(description="How likely so many or more are without a watermark.")


@router.post(
    "/lab/detect-watermark",
    summary="Whether a text was watermarked",
    response_model=DetectAnswer,
    responses=FAILURES,
)
async def detect_watermark(
    body: DetectBody, request: Request, services: ServicesDep
) -> DetectAnswer:
    """Needs the tokenizer of the model that wrote the text, the share and the key; no prompt."""

    async def answer() -> DetectAnswer:
        texts = await services.router.texts(body.model or services.defaults.model)
        score = await texts.detect_watermark(
            body.text,
            gamma=body.watermark_gamma,
            key=body.watermark_key,
            each_pair_once=body.each_pair_once,
        )
        return DetectAnswer(
            model=texts.model.id,
            num_tokens=score.num_tokens,
            num_scored=score.num_scored,
            num_green=score.num_green,
            expected_green=body.watermark_gamma * score.num_scored,
            z_score=score.z_score,
            p_value=score.p_value,
        )

    return await unless_disconnected(request, answer())
