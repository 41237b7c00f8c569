"""Parameters that lead a text away from what another prompt would bring."""

from penstock.decoding.parameters import decoding

GUIDANCE_SCALE = decoding(
    "guidance_scale",
    label="Guidance",
    description="How far to go from what the model would write after the negative prompt towards "
    "what it writes after yours (classifier-free guidance). Costs twice the work.",
    effect="1.5 follows the prompt more closely, above 3 it is overdone; 1 switches it off.",
    offered=(0.5, 4),
    step=0.1,
    section="Guidance",
)
NEGATIVE_PROMPT = decoding(
    "negative_prompt",
    label="Negative prompt",
    description="What the text is led away from: the same text is also thought out after these "
    "words instead of the prompt.",
    effect="Left out, it is the last token of your prompt, so that the prompt itself counts more.",
    section="Guidance",
)

GUIDANCE = (GUIDANCE_SCALE, NEGATIVE_PROMPT)
