"""Parameters about how a text begins and ends."""

from penstock.decoding.parameters import decoding

MIN_LENGTH = decoding(
    "min_length",
    label="Shortest in all",
    description="The model may not end the text before this many tokens, prompt included.",
    effect="Higher forces longer texts.",
    offered=(0, 200),
    step=1,
    section="Beginning and end",
    unit="tokens",
)
FORCED_BOS_TOKEN_ID = decoding(
    "forced_bos_token_id",
    label="First token",
    description="The token that is written first, by its id.",
    effect="Sets how the text begins, such as the language of a translation.",
    section="Beginning and end",
)
FORCED_EOS_TOKEN_ID = decoding(
    "forced_eos_token_id",
    label="Last token",
    description="The token that is written when no more may follow, by its id.",
    effect="With the id of the end, a text that reaches its length ends properly.",
    section="Beginning and end",
)
EXPONENTIAL_DECAY_LENGTH_PENALTY = decoding(
    "exponential_decay_length_penalty",
    label="Pull to the end",
    description="After so many tokens the end becomes likelier, each further token by a factor.",
    effect="A lower number pulls sooner, a higher factor harder: [40, 1.05].",
    section="Beginning and end",
)

ENDINGS = (
    MIN_LENGTH,
    FORCED_BOS_TOKEN_ID,
    FORCED_EOS_TOKEN_ID,
    EXPONENTIAL_DECAY_LENGTH_PENALTY,
)
