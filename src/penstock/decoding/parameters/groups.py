"""Which parameters go together: what every strategy has, and what every strategy that draws has."""

from penstock.decoding.parameters import decoding
from penstock.decoding.parameters.endings import ENDINGS
from penstock.decoding.parameters.filters import FILTERS
from penstock.decoding.parameters.form import FORM
from penstock.decoding.parameters.guidance import GUIDANCE
from penstock.decoding.parameters.penalties import PENALTIES
from penstock.decoding.parameters.request import (
    CONTROL_CODE,
    MAX_NEW_TOKENS,
    MIN_NEW_TOKENS,
    NUM_RETURN_SEQUENCES,
    SEED,
    STOP,
)
from penstock.decoding.parameters.watermark import WATERMARK
from penstock.decoding.parameters.words import WORDS

PROCESSOR_ORDER = decoding(
    "processor_order",
    label="Order of the steps",
    description="The steps that change the scores, by the names of their parameters. Those named "
    "here run in this order, in each other's places; all others keep theirs.",
    effect="With top_p, then temperature, rare tokens are removed before they are made likelier.",
    section="Order",
)
EVERYWHERE = (
    MAX_NEW_TOKENS,
    *PENALTIES,
    MIN_NEW_TOKENS,
    STOP,
    *FORM,
    *GUIDANCE,
    *WORDS,
    *ENDINGS,
    *WATERMARK,
    CONTROL_CODE,
    PROCESSOR_ORDER,
)
DRAWN = (*FILTERS, NUM_RETURN_SEQUENCES, SEED)
