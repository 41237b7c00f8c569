"""How logits become tokens, and every limit of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from penstock.errors import InvalidParameter
from penstock.types.checks import check_count, check_length, check_range

MAX_LAYERS = 32  # that are compared with the last
MAX_ALTERNATIVES = 16  # of a forced word
MAX_BIAS = 100.0  # as far as OpenAI goes: it all but forbids or forces a token

Word = str | tuple[int, ...]  # a piece of text, or the token ids it stands for


def token_ids_of(word: Word) -> tuple[int, ...]:
    """The token ids of a word in a request that was prepared."""
    assert not isinstance(word, str), "words are token ids since the request was prepared"
    return word


def _number(neutral: Any, low: float, high: float) -> Any:
    """A number from `low` to `high` that does nothing at `neutral`."""
    return field(default=neutral, metadata={"range": (low, high)})


def _several(most: int, neutral: tuple[Any, ...] = (), *, kind: str | None = None) -> Any:
    """At most so many entries. `kind` is the catalog's, where the type alone does not say it."""
    return field(default=neutral, metadata={"most": most, "kind": kind})


def _layers() -> Any:
    return field(default=None, metadata={"kind": "layers"})


def _prompt(longest: int) -> Any:
    """A text of at most so many characters, or as many token ids."""
    return field(default=None, metadata={"longest": longest, "kind": "prompt"})


def _text(longest: int, *, kind: str) -> Any:
    """A text of at most so many characters; left out, it asks for nothing."""
    return field(default=None, metadata={"longest": longest, "kind": kind})


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingParams:
    """How logits become tokens. The one home of these limits and of the values that do nothing.

    Every default is neutral. A word is given as text or as token ids; the engine knows only ids.
    """

    # the form of the text, one of these; see `decoding/constraints`
    json_schema: str | None = _text(65_536, kind="json")  # as JSON
    json_object: bool = False
    regex: str | None = _text(2_048, kind="text")
    choice: tuple[str, ...] = _several(1_024, kind="texts")
    grammar: str | None = _text(65_536, kind="text")  # in Lark's notation
    guidance_scale: float = _number(1.0, 0, 20)  # 1 is off
    negative_prompt: str | tuple[int, ...] | None = _prompt(65_536)
    dola_layers: str | tuple[int, ...] | None = _layers()  # "low", "high" or layers from 0
    # particular tokens and words
    sequence_bias: tuple[tuple[Word, float], ...] = _several(256)
    logit_bias: tuple[tuple[int, float], ...] = _several(1024)  # token id, what is added
    bad_words: tuple[Word, ...] = _several(256)
    topic_words: tuple[Word, ...] = _several(256)
    topic_strength: float = _number(3.0, -20, 20)
    attribute: str | None = _text(100, kind="text")  # by name: a trained classifier
    attribute_strength: float = _number(1.0, -20, 20)
    suppress_tokens: tuple[int, ...] = _several(1024)
    begin_suppress_tokens: tuple[int, ...] = _several(1024)
    # repetition
    encoder_repetition_penalty: float = _number(1.0, 0.01, 10)
    repetition_penalty: float = _number(1.0, 0.01, 10)
    frequency_penalty: float = _number(0.0, -2, 2)
    presence_penalty: float = _number(0.0, -2, 2)
    no_repeat_ngram_size: int = _number(0, 0, 1000)
    encoder_no_repeat_ngram_size: int = _number(0, 0, 1000)
    dry_multiplier: float = _number(0.0, 0, 100)
    dry_base: float = _number(1.75, 1, 8)
    dry_allowed_length: int = _number(2, 1, 1000)
    dry_penalty_last_n: int = _number(-1, -1, 1_000_000)  # -1 is the whole text
    dry_sequence_breakers: tuple[Word, ...] = _several(64, ("\n", ":", '"', "*"))
    # how a text begins and ends
    min_length: int = _number(0, 0, 1_000_000)  # prompt included
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | None = None
    exponential_decay_length_penalty: tuple[int, float] | None = None  # tokens, factor
    # what is drawn from
    temperature: float = _number(1.0, 0, 2)  # 0 is greedy
    dynatemp_range: float = _number(0.0, 0, 2)
    dynatemp_exponent: float = _number(1.0, 0, 10)
    top_h: float = _number(0.0, 0, 1)  # 0 is off
    top_k: int = _number(0, 0, 1_000_000)  # 0 is off
    top_p: float = _number(1.0, 0, 1)
    min_p: float = _number(0.0, 0, 1)
    typical_p: float = _number(1.0, 0, 1)
    epsilon_cutoff: float = _number(0.0, 0, 0.99)
    eta_cutoff: float = _number(0.0, 0, 0.99)
    top_n_sigma: float = _number(0.0, 0, 100)  # 0 is off
    top_a: float = _number(0.0, 0, 1)
    tfs_z: float = _number(1.0, 0, 1)
    xtc_probability: float = _number(0.0, 0, 1)
    xtc_threshold: float = _number(0.1, 0, 1)
    mirostat: int = _number(0, 0, 2)  # 0 is off, 1 and 2 its versions
    mirostat_tau: float = _number(5.0, 0, 100)  # bits per token
    mirostat_eta: float = _number(0.1, 0, 1)
    watermark_delta: float = _number(0.0, 0, 100)
    watermark_gamma: float = _number(0.25, 0.01, 0.99)
    watermark_key: int | None = _number(None, 1, 2**53 - 1)
    processor_order: tuple[str, ...] = _several(64)
    # several texts at once
    num_beams: int = _number(1, 1, 10)
    length_penalty: float = _number(1.0, -10, 10)
    early_stopping: bool = False
    num_beam_groups: int = _number(1, 1, 10)
    diversity_penalty: float = _number(0.0, 0, 100)
    force_words: tuple[tuple[Word, ...], ...] = _several(32)  # each with its alternatives
    num_candidates: int = _number(1, 1, 16)
    penalty_alpha: float = _number(0.0, 0, 1)
    # several tokens at once
    prompt_lookup_num_tokens: int = _number(0, 0, 64)
    max_matching_ngram_size: int = _number(2, 1, 32)
    draft_num_tokens: int = _number(0, 0, 32)

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), low, high)
        for name, most in MOST.items():
            check_count(name, getattr(self, name), most)
        for name, longest in LONGEST.items():
            check_length(name, getattr(self, name) or "", longest)
        check_length("choice", "".join(self.choice), LONGEST["grammar"])
        for alternatives in self.force_words:
            check_count("force_words", alternatives, MAX_ALTERNATIVES)
        for name in ("logit_bias", "sequence_bias"):
            for _, bias in getattr(self, name):
                check_range(name, bias, -MAX_BIAS, MAX_BIAS)
        _check_layers(self.dola_layers)
        if self.exponential_decay_length_penalty is not None:
            start, factor = self.exponential_decay_length_penalty
            check_range("exponential_decay_length_penalty", start, 0, 1_000_000)
            check_range("exponential_decay_length_penalty", factor, 1, 10)


NEUTRAL: Mapping[str, Any] = {f.name: f.default for f in fields(DecodingParams)}
LIMITS: Mapping[str, tuple[float, float]] = {
    f.name: f.metadata["range"] for f in fields(DecodingParams) if "range" in f.metadata
}
MOST: Mapping[str, int] = {
    f.name: f.metadata["most"] for f in fields(DecodingParams) if "most" in f.metadata
}

LONGEST: Mapping[str, int] = {
    f.name: f.metadata["longest"] for f in fields(DecodingParams) if "longest" in f.metadata
}


def _check_layers(layers: str | tuple[int, ...] | None) -> None:
    if isinstance(layers, tuple):
        check_count("dola_layers", layers, MAX_LAYERS)
    if layers == () or (isinstance(layers, str) and layers not in ("low", "high")):
        raise InvalidParameter(
            f"dola_layers={layers!r} names no layers.",
            "Use low, high or a list of numbers.",
            param="dola_layers",
        )
