"""Parameters of the strategies that look at several ways to go on before they settle on one."""

from penstock.decoding.parameters import decoding

NUM_CANDIDATES = decoding(
    "num_candidates",
    label="Candidates",
    description="How many texts are written, of which the best are returned.",
    effect="Higher finds likelier texts and costs that many times the work.",
    default=4,
    offered=(1, 16),
    step=1,
    group="main",
)
