"""What belongs to the request as a whole: how long, how many, where to end, which seed."""

from penstock.decoding.parameters import Parameter

MAX_NEW_TOKENS = Parameter(
    name="max_new_tokens",
    label="Length",
    kind="int",
    description="How many tokens to write at most.",
    effect="Higher writes longer; a token is about three quarters of a word.",
    default=100,
    minimum=1,
    maximum=1_000_000,
    offered_minimum=20,
    offered_maximum=500,
    step=1,
    group="main",
    unit="tokens",
)
MIN_NEW_TOKENS = Parameter(
    name="min_new_tokens",
    label="Shortest length",
    kind="int",
    description="The model may not end the text before this many tokens.",
    effect="Higher forces longer texts.",
    default=0,
    neutral=0,
    minimum=0,
    maximum=1_000_000,
    offered_minimum=0,
    offered_maximum=200,
    step=1,
    group="more",
    unit="tokens",
)
NUM_RETURN_SEQUENCES = Parameter(
    name="num_return_sequences",
    label="How many texts",
    kind="int",
    description="How many texts to write for the same prompt.",
    effect="Higher gives more texts to choose from.",
    default=1,
    neutral=1,
    minimum=1,
    maximum=8,
    offered_minimum=1,
    offered_maximum=8,
    step=1,
    group="more",
)
STOP = Parameter(
    name="stop",
    label="Stop at",
    kind="strings",
    description="Ends the text just before any of these strings, at most four.",
    effect="Add one to end at a blank line, a name or a sign.",
    group="more",
)
CONTROL_CODE = Parameter(
    name="control_code",
    label="Control code",
    kind="text",
    description="Put before the prompt, with a space between; not shown in the text. Models that "
    "were trained with such codes write in the style, or do the task, that a code stands for.",
    effect='For T5 a task, "summarize:"; for CTRL a genre, "Horror"; for others just a first word.',
    section="Prompt",
)
SEED = Parameter(
    name="seed",
    label="Seed",
    kind="seed",
    description="The same seed with the same settings gives the same text.",
    effect="Change it for another text; leave it empty for a new one each time.",
    minimum=0,
    maximum=2**53 - 1,
    group="more",
)
