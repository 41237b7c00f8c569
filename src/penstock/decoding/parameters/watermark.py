"""Parameters that put a mark into a text which can be found again."""

from penstock.decoding.parameters import decoding

WATERMARK_DELTA = decoding(
    "watermark_delta",
    label="Watermark strength",
    description="Makes some tokens, other ones after each token, likelier by this much, so that "
    "whoever has the key can tell that the text was generated.",
    effect="2 is usual; higher is found in shorter texts and harms them more; 0 switches it off.",
    offered=(0, 10),
    step=0.5,
    section="Watermark",
)
WATERMARK_GAMMA = decoding(
    "watermark_gamma",
    label="Watermark share",
    description="Which share of the vocabulary is made likelier.",
    effect="0.25 to 0.5 is usual; must be the same when the watermark is looked for.",
    offered=(0.05, 0.9),
    step=0.05,
    section="Watermark",
)
WATERMARK_KEY = decoding(
    "watermark_key",
    label="Watermark key",
    description="Decides which tokens are made likelier; left out, the server's own key does.",
    effect="Keep it secret: who knows it can find the watermark, and remove or forge it.",
    section="Watermark",
)
WATERMARK = (WATERMARK_DELTA, WATERMARK_GAMMA, WATERMARK_KEY)
