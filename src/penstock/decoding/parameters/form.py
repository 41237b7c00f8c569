"""Parameters that bind the text to a form; a request has at most one of them."""

from penstock.decoding.parameters import decoding

JSON_SCHEMA = decoding(
    "json_schema",
    label="JSON schema",
    description="The text is JSON that this schema describes. Its properties come in its order.",
    effect='Say what is wanted in the prompt too: {"type": "object", "properties": {}}.',
    section="Form",
)
JSON_OBJECT = decoding(
    "json_object",
    label="JSON object",
    description="The text is a JSON object, whatever is in it.",
    effect="Turn it on to get something that a program can read.",
    section="Form",
)
REGEX = decoding(
    "regex",
    label="Pattern",
    description="The whole text matches this regular expression, without lookaround.",
    effect="[0-9]{4}-[0-9]{2}-[0-9]{2} gives a date.",
    section="Form",
)
CHOICE = decoding(
    "choice",
    label="One of",
    description="The text is one of these.",
    effect="Add each answer that is allowed.",
    section="Form",
)
GRAMMAR = decoding(
    "grammar",
    label="Grammar",
    description="The text follows this grammar in the notation of Lark, from its rule `start`.",
    effect='For what a pattern cannot say: start: "yes" | "no" | "perhaps " start.',
    section="Form",
)

FORM = (JSON_SCHEMA, JSON_OBJECT, REGEX, CHOICE, GRAMMAR)
