"""The values that cross layers: what is asked of the engine and what it answers.

Plain frozen data, checked on creation. Knows no tensors, no wire format and no event loop.
"""

from penstock.types.outputs import (
    ChosenLogprob,
    EngineOutput,
    FinishReason,
    PromptEmbedded,
    PromptScored,
    RequestFinished,
    RequestQueued,
    RequestStarted,
    SequenceFinished,
    Stage,
    Timings,
    Token,
    TokenLogprob,
    TokensAdded,
    TreeGrown,
    TreeNode,
    WatermarkScore,
)
from penstock.types.params import (
    LIMITS,
    LONGEST,
    NEUTRAL,
    DecodingParams,
    Word,
    token_ids_of,
)
from penstock.types.request import (
    MAX_LOGPROBS,
    MAX_SEED,
    MAX_STOP_LENGTH,
    MAX_STOP_STRINGS,
    MAX_TIME,
    MIN_TIME,
    GenerationRequest,
)

__all__ = [
    "LIMITS",
    "LONGEST",
    "MAX_LOGPROBS",
    "MAX_SEED",
    "MAX_STOP_LENGTH",
    "MAX_STOP_STRINGS",
    "MAX_TIME",
    "MIN_TIME",
    "NEUTRAL",
    "ChosenLogprob",
    "DecodingParams",
    "EngineOutput",
    "FinishReason",
    "GenerationRequest",
    "PromptEmbedded",
    "PromptScored",
    "RequestFinished",
    "RequestQueued",
    "RequestStarted",
    "SequenceFinished",
    "Stage",
    "Timings",
    "Token",
    "TokenLogprob",
    "TokensAdded",
    "TreeGrown",
    "TreeNode",
    "WatermarkScore",
    "Word",
    "token_ids_of",
]
