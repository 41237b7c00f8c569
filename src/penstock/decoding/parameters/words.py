"""Parameters about particular tokens and words: wanted more, wanted less, not wanted at all.

A word is a text or a list of token ids.
"""

from penstock.decoding.parameters import decoding

BAD_WORDS = decoding(
    "bad_words",
    label="Forbidden words",
    description="Words that may not be written, alone or after a space.",
    effect="Other spellings stay possible: forbid each that matters.",
    section="Words",
)
LOGIT_BIAS = decoding(
    "logit_bias",
    label="Token bias",
    description="Adds a number to the scores of tokens, given by their ids.",
    effect='Above 0 makes a token likelier, -100 all but forbids it: {"262": -100}.',
    section="Words",
)
SEQUENCE_BIAS = decoding(
    "sequence_bias",
    label="Word bias",
    description="Adds a number to the score of a word's last token where the others came before.",
    effect='Above 0 makes a word likelier, below 0 less likely: [[" dragon", 4]].',
    section="Words",
)
TOPIC_WORDS = decoding(
    "topic_words",
    label="Topic words",
    description="Makes each of these words likelier until it has been written, and so leads the "
    "text to their topic.",
    effect="Ten to fifty words of one subject lead best; none of them has to come.",
    section="Words",
)
TOPIC_STRENGTH = decoding(
    "topic_strength",
    label="Topic strength",
    description="By this much the score of a topic word is raised; with 3 it becomes about 20 "
    "times as likely as it was, compared to other words. Of a word of several tokens the first "
    "are raised by less.",
    effect="Higher comes to the topic sooner and less naturally; below 0 the text avoids it.",
    offered=(-5, 8),
    step=0.5,
    section="Words",
)
ATTRIBUTE = decoding(
    "attribute",
    label="Attribute",
    description="Leads the text to what a small classifier was trained to recognise, by its name; "
    "`penstock attributes train` makes one from labelled texts.",
    effect="Each token counts for or against it, from the first on; nothing is forced.",
    section="Words",
)
ATTRIBUTE_STRENGTH = decoding(
    "attribute_strength",
    label="Attribute strength",
    description="How much the classifier's opinion counts against the model's; 1 is Bayes' rule.",
    effect="Higher leads more strongly and less naturally; below 0 it leads away.",
    offered=(-5, 8),
    step=0.5,
    section="Words",
)
SUPPRESS_TOKENS = decoding(
    "suppress_tokens",
    label="Forbidden tokens",
    description="Tokens that may not be written, given by their ids.",
    effect="Takes single tokens away, wherever they would stand: [13, 30].",
    section="Words",
)
BEGIN_SUPPRESS_TOKENS = decoding(
    "begin_suppress_tokens",
    label="Forbidden at first",
    description="Tokens that may not be the first, given by their ids.",
    effect="Keeps the text from beginning with these: [198].",
    section="Words",
)

WORDS = (
    BAD_WORDS,
    TOPIC_WORDS,
    TOPIC_STRENGTH,
    ATTRIBUTE,
    ATTRIBUTE_STRENGTH,
    SEQUENCE_BIAS,
    LOGIT_BIAS,
    SUPPRESS_TOKENS,
    BEGIN_SUPPRESS_TOKENS,
)
