"""Parameters that shape what is drawn from."""

from penstock.decoding.parameters import decoding

TEMPERATURE = decoding(
    "temperature",
    label="Temperature",
    description="Flattens or sharpens the probabilities before a token is drawn.",
    effect="Higher surprises more; lower keeps to what is likely; 0 always takes the likeliest.",
    default=0.8,
    offered=(0.1, 2),
    step=0.05,
    group="main",
)
TOP_K = decoding(
    "top_k",
    label="Top-k",
    description="Draws only from this many of the likeliest tokens.",
    effect="Higher gives more variety; 1 always takes the likeliest; 0 switches it off.",
    offered=(0, 100),
    step=1,
    group="more",
)
TOP_P = decoding(
    "top_p",
    label="Top-p",
    description="Draws only from the fewest tokens whose probabilities add up to this.",
    effect="Higher lets rarer tokens in; at 1 every token can be drawn.",
    offered=(0.05, 1),
    step=0.01,
    group="more",
)

MIN_P = decoding(
    "min_p",
    label="Min-p",
    description="Draws only from tokens at least this share as likely as the likeliest.",
    effect="0.05 to 0.1 keeps even high temperatures sensible; 0 switches it off.",
    offered=(0, 0.5),
    step=0.01,
    group="more",
)
TYPICAL_P = decoding(
    "typical_p",
    label="Typical p",
    description="Draws from the tokens that surprise about as much as was to be expected, the "
    "fewest whose probabilities add up to this.",
    effect="Lower avoids both the obvious and the odd; 1 switches it off.",
    offered=(0.05, 1),
    step=0.01,
    section="Filters",
)
EPSILON_CUTOFF = decoding(
    "epsilon_cutoff",
    label="Epsilon cutoff",
    description="Never draws a token less likely than this.",
    effect="0.0003 to 0.001 is usual; higher is safer; 0 switches it off.",
    offered=(0, 0.01),
    step=0.0001,
    section="Filters",
)
ETA_CUTOFF = decoding(
    "eta_cutoff",
    label="Eta cutoff",
    description="As the epsilon cutoff, with a lower bar where many tokens are about as likely.",
    effect="0.0003 to 0.004 is usual; higher is safer; 0 switches it off.",
    offered=(0, 0.01),
    step=0.0001,
    section="Filters",
)
TOP_H = decoding(
    "top_h",
    label="Top-h",
    description="Draws from the likeliest tokens that hold this share of the entropy, among the "
    "100 likeliest.",
    effect="0.4 is usual; lower is safer; 0 switches it off.",
    offered=(0, 1),
    step=0.05,
    section="Filters",
)
TOP_N_SIGMA = decoding(
    "top_n_sigma",
    label="Top-n-sigma",
    description="Draws from tokens whose score is at most this many standard deviations below "
    "the best.",
    effect="1 is usual, at any temperature; higher lets rarer tokens in; 0 switches it off.",
    offered=(0, 5),
    step=0.1,
    section="Filters",
)
TOP_A = decoding(
    "top_a",
    label="Top-a",
    description="Draws from tokens at least as likely as this times the square of the greatest "
    "probability.",
    effect="0.2 is usual; higher is safer, most so where the model is sure; 0 switches it off.",
    offered=(0, 1),
    step=0.01,
    section="Filters",
)
TFS_Z = decoding(
    "tfs_z",
    label="Tail-free",
    description="Cuts the tail where the sorted probabilities stop bending.",
    effect="0.95 is usual; lower cuts more; 1 switches it off.",
    offered=(0.5, 1),
    step=0.01,
    section="Filters",
)
XTC_PROBABILITY = decoding(
    "xtc_probability",
    label="XTC probability",
    description="Exclude top choices: how often all the safe tokens but the least likely one "
    "are taken away.",
    effect="0.5 is usual for stories; higher is more inventive; 0 switches it off.",
    offered=(0, 1),
    step=0.05,
    section="Filters",
)
XTC_THRESHOLD = decoding(
    "xtc_threshold",
    label="XTC threshold",
    description="How likely a token must be for XTC to count it among the safe ones.",
    effect="Lower takes more tokens away; above 0.5 nothing happens.",
    offered=(0.01, 0.5),
    step=0.01,
    section="Filters",
)
DYNATEMP_RANGE = decoding(
    "dynatemp_range",
    label="Dynamic temperature",
    description="Lowers the temperature by up to this where the model is sure and raises it by "
    "up to this where it is not.",
    effect="Higher makes more of the difference; 0 switches it off.",
    offered=(0, 2),
    step=0.05,
    section="Filters",
)
DYNATEMP_EXPONENT = decoding(
    "dynatemp_exponent",
    label="Dynamic exponent",
    description="How the dynamic temperature grows with how unsure the model is.",
    effect="Above 1 stays cool longer, below 1 warms sooner.",
    offered=(0.1, 4),
    step=0.1,
    section="Filters",
)
MIROSTAT = decoding(
    "mirostat",
    label="Mirostat",
    description="Keeps the text as surprising as asked, however sure the model is, by adjusting "
    "the filter after every token: version 1 or 2.",
    effect="2 is the simpler and quicker; 0 switches it off.",
    offered=(0, 2),
    step=1,
    section="Filters",
)
MIROSTAT_TAU = decoding(
    "mirostat_tau",
    label="Mirostat target",
    description="How surprising each token should be, on average.",
    effect="Higher is livelier, lower more coherent; 3 to 5 is usual.",
    offered=(0, 10),
    step=0.1,
    section="Filters",
    unit="bits",
)
MIROSTAT_ETA = decoding(
    "mirostat_eta",
    label="Mirostat rate",
    description="How quickly Mirostat corrects itself.",
    effect="Higher follows the target more closely and less evenly.",
    offered=(0.01, 1),
    step=0.01,
    section="Filters",
)

FILTERS = (
    TEMPERATURE,
    TOP_P,
    TOP_K,
    MIN_P,
    TYPICAL_P,
    EPSILON_CUTOFF,
    ETA_CUTOFF,
    TOP_H,
    TOP_N_SIGMA,
    TOP_A,
    TFS_Z,
    XTC_PROBABILITY,
    XTC_THRESHOLD,
    DYNATEMP_RANGE,
    DYNATEMP_EXPONENT,
    MIROSTAT,
    MIROSTAT_TAU,
    MIROSTAT_ETA,
)
