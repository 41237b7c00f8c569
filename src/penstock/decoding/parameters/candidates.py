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
DOLA_LAYERS = decoding(
    "dola_layers",
    label="Early layers",
    description="With which early layers the last is contrasted; of several, with the one that "
    "differs most at this token.",
    effect='"high" is best for short facts, "low" for longer reasoning; or name them, from 0: '
    "[2, 4].",
    default="high",
    group="main",
)
PENALTY_ALPHA = decoding(
    "penalty_alpha",
    label="Degeneration penalty",
    description="How much it counts that a token leads somewhere new, against how likely it is.",
    effect="Higher repeats less; 0 is greedy search; much above 0.6 the text loses its thread.",
    default=0.6,
    offered=(0, 1),
    step=0.05,
    group="main",
)
