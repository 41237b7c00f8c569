"""Parameters of the strategies that guess ahead and check several tokens in one step."""

from penstock.decoding.parameters import decoding

PROMPT_LOOKUP_NUM_TOKENS = decoding(
    "prompt_lookup_num_tokens",
    label="Guessed tokens",
    description="How many tokens are guessed and checked at once, at most.",
    effect="Higher gains more where the text quotes and costs more where it does not; 0 guesses "
    "nothing. The text is the same.",
    default=10,
    offered=(0, 32),
    step=1,
    group="main",
    unit="tokens",
)
MAX_MATCHING_NGRAM_SIZE = decoding(
    "max_matching_ngram_size",
    label="Longest match",
    description="How many of the last tokens must have occurred before, at best; fewer will do "
    "where so many have not.",
    effect="Higher finds the better places to guess from. The text is the same.",
    default=3,
    offered=(1, 10),
    step=1,
    group="more",
    unit="tokens",
)
DRAFT_NUM_TOKENS = decoding(
    "draft_num_tokens",
    label="Drafted tokens",
    description="How many tokens the draft model writes ahead, at most, to be checked at once.",
    effect="Higher gains more where the draft model is mostly right and wastes more where it is "
    "not; 0 drafts nothing. The text is the same.",
    default=5,
    offered=(0, 16),
    step=1,
    group="main",
    unit="tokens",
)
