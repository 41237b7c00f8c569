"""Parameters that hold a text back from repeating itself."""

from penstock.decoding.parameters import decoding

REPETITION_PENALTY = decoding(
    "repetition_penalty",
    label="Repetition penalty",
    description="Makes every token that already occurred, prompt included, less likely.",
    effect="Higher repeats less; much above 1.3 the text loses its thread.",
    offered=(0.8, 2),
    step=0.05,
    scale="log",
    group="more",
)
FREQUENCY_PENALTY = decoding(
    "frequency_penalty",
    label="Frequency penalty",
    description="Lowers a written token's score by this much for every time it was written.",
    effect="Higher repeats less, and the more the more often; below 0 it repeats more.",
    offered=(-2, 2),
    step=0.1,
    section="Repetition",
)
PRESENCE_PENALTY = decoding(
    "presence_penalty",
    label="Presence penalty",
    description="Lowers a token's score by this much once it was written, however often.",
    effect="Higher moves on to new words and subjects; below 0 it stays with the old.",
    offered=(-2, 2),
    step=0.1,
    section="Repetition",
)
NO_REPEAT_NGRAM_SIZE = decoding(
    "no_repeat_ngram_size",
    label="No repeated n-gram",
    description="Forbids any run of this many tokens that has already occurred.",
    effect="3 or 4 stops loops; 1 forbids using any token twice; 0 switches it off.",
    offered=(0, 10),
    step=1,
    group="more",
)

ENCODER_REPETITION_PENALTY = decoding(
    "encoder_repetition_penalty",
    label="Prompt penalty",
    description="Makes every token of the prompt likelier.",
    effect="Above 1 the text keeps to the prompt's words, below 1 it avoids them.",
    offered=(0.8, 2),
    step=0.05,
    scale="log",
    section="Repetition",
)
ENCODER_NO_REPEAT_NGRAM_SIZE = decoding(
    "encoder_no_repeat_ngram_size",
    label="No n-gram of the prompt",
    description="Forbids any run of this many tokens that occurs in the prompt.",
    effect="3 or 4 keeps the text from quoting the prompt; 0 switches it off.",
    offered=(0, 10),
    step=1,
    section="Repetition",
)
DRY_MULTIPLIER = decoding(
    "dry_multiplier",
    label="DRY strength",
    description="Don't repeat yourself: the longer a run of tokens repeats an earlier one, the "
    "less likely it may go on.",
    effect="0.8 is usual; higher breaks repetitions sooner; 0 switches it off.",
    offered=(0, 3),
    step=0.1,
    section="Repetition",
)
DRY_BASE = decoding(
    "dry_base",
    label="DRY growth",
    description="By what factor the DRY penalty grows with every further token.",
    effect="Higher comes down harder on long repetitions.",
    offered=(1, 4),
    step=0.05,
    section="Repetition",
)
DRY_ALLOWED_LENGTH = decoding(
    "dry_allowed_length",
    label="DRY free length",
    description="Repetitions that are not longer than this many tokens go free of DRY.",
    effect="Higher allows longer set phrases.",
    offered=(1, 20),
    step=1,
    section="Repetition",
    unit="tokens",
)
DRY_PENALTY_LAST_N = decoding(
    "dry_penalty_last_n",
    label="DRY memory",
    description="How many of the latest tokens DRY looks through; -1 is all, 0 none.",
    effect="Lower forgets sooner what was said.",
    offered=(-1, 2048),
    step=1,
    section="Repetition",
    unit="tokens",
)
DRY_SEQUENCE_BREAKERS = decoding(
    "dry_sequence_breakers",
    label="DRY breakers",
    description="No repetition that DRY counts reaches over these.",
    effect="Add names and signs that may come again, such as the speakers of a dialogue.",
    section="Repetition",
)

PENALTIES = (
    REPETITION_PENALTY,
    NO_REPEAT_NGRAM_SIZE,
    FREQUENCY_PENALTY,
    PRESENCE_PENALTY,
    ENCODER_REPETITION_PENALTY,
    ENCODER_NO_REPEAT_NGRAM_SIZE,
    DRY_MULTIPLIER,
    DRY_BASE,
    DRY_ALLOWED_LENGTH,
    DRY_PENALTY_LAST_N,
    DRY_SEQUENCE_BREAKERS,
)
