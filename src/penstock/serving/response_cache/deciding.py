"""Which requests must come out the same, and the key of everything that decides how. Pure."""

import hashlib
import json
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version

from penstock import __version__
from penstock.serving.models import ServedModel
from penstock.serving.plain import codec_of
from penstock.types import (
    EngineOutput,
    FinishReason,
    GenerationRequest,
    RequestFinished,
    SequenceFinished,
)

LIBRARIES = ("torch", "transformers", "tokenizers", "llguidance")
DRAW_NOTHING = frozenset(
    {
        "greedy",
        "beam_search",
        "diverse_beam_search",
        "constrained_beam_search",
        "contrastive_search",
    }
)
WHOLE = frozenset({FinishReason.STOP, FinishReason.LENGTH})


def is_settled(request: GenerationRequest, model: ServedModel) -> bool:
    """Whether the request comes out the same each time and its answer may be given again."""
    params = request.params
    is_bound = bool(
        params.json_schema or params.json_object or params.regex or params.choice or params.grammar
    )
    hangs_on_secret = params.watermark_delta > 0 and params.watermark_key is None
    hangs_on_file = params.attribute is not None
    if is_bound or hangs_on_secret or hangs_on_file or request.embed or not model.weights_digest:
        return False
    if request.seed is not None:
        return True
    draws = request.strategy not in DRAW_NOTHING and params.temperature > 0
    return not draws and params.xtc_probability == 0


def key_of(request: GenerationRequest, model: ServedModel, adapter_digest: str | None) -> str:
    """The same for two requests only if all that decides their answers is.

    That is: whose it is, the model's files and how they are computed, the adapter's files, and
    every field of the request but its id.
    """
    plain = codec_of(GenerationRequest).encode(
        replace(request, request_id="", adapter_digest=adapter_digest)
    )
    circumstances = [
        model.id,
        model.weights_digest,
        model.config_digest,
        model.dtype,
        model.ops,
        *_versions(),
    ]
    text = json.dumps([circumstances, plain], separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_whole(outputs: list[EngineOutput]) -> bool:
    """Whether the answer ended by itself or at its length: nothing failed, nothing was cut off."""
    if not outputs or not isinstance(outputs[-1], RequestFinished) or outputs[-1].error is not None:
        return False
    ends = [output for output in outputs if isinstance(output, SequenceFinished)]
    return bool(ends) and all(end.finish_reason in WHOLE for end in ends)


@lru_cache(maxsize=1)
def _versions() -> tuple[str, ...]:
    return (__version__, *(version(name) for name in LIBRARIES))
