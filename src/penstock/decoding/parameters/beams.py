"""Parameters of the strategies that keep several candidate texts at once."""

from penstock.decoding.parameters import decoding

NUM_BEAMS = decoding(
    "num_beams",
    label="Beams",
    description="How many candidate texts are kept and extended side by side.",
    effect="Higher finds likelier texts and costs that many times the work.",
    default=5,
    offered=(1, 10),
    step=1,
    group="main",
)
LENGTH_PENALTY = decoding(
    "length_penalty",
    label="Length penalty",
    description="A beam's score is its log-probability divided by its length to this power.",
    effect="Above 0 favours longer texts, below 0 shorter ones.",
    offered=(-2, 3),
    step=0.1,
    group="main",
)
EARLY_STOPPING = decoding(
    "early_stopping",
    label="Early stopping",
    description="Stops as soon as there are as many finished texts as beams.",
    effect="On is quicker; off keeps looking while a better text is still possible.",
    group="more",
)
NUM_BEAM_GROUPS = decoding(
    "num_beam_groups",
    label="Groups",
    description="Into how many groups the beams are divided; the beams of a group compete only "
    "with each other. There are never more groups than beams.",
    effect="Higher gives more different texts, each searched for less thoroughly.",
    default=3,
    offered=(1, 10),
    step=1,
    group="main",
)
FORCE_WORDS = decoding(
    "force_words",
    label="Forced words",
    description="Words that the text must contain, alone or after a space; of a list of words "
    "one is enough.",
    effect="Add each word that may not be missing. The answer names any for which the length did "
    "not suffice.",
    group="main",
)
DIVERSITY_PENALTY = decoding(
    "diversity_penalty",
    label="Diversity",
    description="Lowers a token's score by this much for every beam of an earlier group that "
    "has just chosen it.",
    effect="Higher makes the groups differ more; at 0 they all write the same.",
    default=1.0,
    offered=(0, 5),
    step=0.1,
    group="main",
)
