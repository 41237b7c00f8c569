"""Compiles grammars for a model's vocabulary, within limits that keep hostile ones short and small.

The limits are a quarter of llguidance's own; what exceeds them is refused before it runs.
"""

import threading
from collections import OrderedDict
from concurrent.futures import Executor
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from torch import Tensor

from penstock.decoding.constraints.following import Follower, allowed_tokens
from penstock.decoding.constraints.grammars import Grammar, grammar_of
from penstock.decoding.constraints.vocabulary import read_vocabulary
from penstock.errors import InvalidParameter
from penstock.text.tokenizer import Tokenizer
from penstock.types import DecodingParams

MAX_KEPT = 128  # compiled grammars per vocabulary
NOTHING_FITS = "NoExtensionBias"  # llguidance's word for a grammar without texts
LONGEST_REASON = 200  # characters of llguidance's own words in an error


def _limits() -> LLParserLimits:
    return LLParserLimits(
        max_items_in_row=500,
        initial_lexer_fuel=250_000,
        step_lexer_fuel=50_000,
        step_max_items=12_500,
        max_lexer_states=20_000,  # of up to 2 kB each
        max_grammar_size=125_000,
        verbose_errors=False,  # or they hold the parser's whole state
    )


@dataclass(frozen=True, slots=True)
class Constraint:
    """A compiled grammar. Safe to share between threads: every follower has its own copy."""

    grammar: Grammar
    vocabulary: LLTokenizer
    start: LLMatcher  # never moved
    first: Tensor  # (vocab_size,) which tokens may begin the text

    def follow(self, executor: Executor) -> Follower:
        """A follower at the beginning of a text; it computes its masks on `executor`."""
        return Follower(self.grammar.field, self.start.deep_copy(), self.first, executor)

    def accepts(self, text: bytes) -> bool:
        """Whether `text` has the form, as a whole."""
        matcher = self.start.deep_copy()
        token_ids = self.vocabulary.tokenize_bytes(text)
        return matcher.consume_tokens(token_ids) and matcher.is_accepting()


class Compiler:
    """Compiles for one tokenizer and keeps the grammars used last. Safe to share.

    Holds the tokenizer's vocabulary and not the tokenizer, so that both go with their model.
    """

    def __init__(self) -> None:
        self._vocabulary: LLTokenizer | None = None
        self._kept: OrderedDict[tuple[Grammar, int], Constraint] = OrderedDict()
        self._lock = threading.Lock()

    def compile(self, grammar: Grammar, tokenizer: Tokenizer, vocab_size: int) -> Constraint:
        """The constraint for a grammar. Raises `InvalidParameter` for what it cannot be made of."""
        key = (grammar, vocab_size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        _refuse(grammar, LLMatcher.validate_grammar(grammar.text, limits=_limits()))
        constraint = _compiled(grammar, self._known_vocabulary(tokenizer), vocab_size)
        with self._lock:
            self._kept[key] = constraint
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return constraint

    def _known_vocabulary(self, tokenizer: Tokenizer) -> LLTokenizer:
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = read_vocabulary(tokenizer)
            return self._vocabulary


_COMPILERS: WeakKeyDictionary[Tokenizer, Compiler] = WeakKeyDictionary()
_COMPILERS_LOCK = threading.Lock()


def constraint_of(
    params: DecodingParams, tokenizer: Tokenizer, vocab_size: int
) -> Constraint | None:
    """What the parameters bind the text to, compiled for this vocabulary. Slow the first time."""
    grammar = grammar_of(params)
    if grammar is None:
        return None
    with _COMPILERS_LOCK:
        compiler = _COMPILERS.setdefault(tokenizer, Compiler())
    return compiler.compile(grammar, tokenizer, vocab_size)


def _compiled(grammar: Grammar, vocabulary: LLTokenizer, vocab_size: int) -> Constraint:
    start = LLMatcher(vocabulary, grammar.text, log_level=0, limits=_limits())
    _refuse(grammar, start.get_error())
    mask = start.compute_bitmask()
    if start.is_error() and NOTHING_FITS not in start.get_error():
        raise InvalidParameter(
            f"{grammar.field} is too complex.",
            "Use fewer or smaller repetitions.",
            param=grammar.field,
        )
    first = allowed_tokens(mask, vocab_size)
    if start.is_error() or not torch.any(first):
        raise InvalidParameter(
            f"{grammar.field} allows no text at all.",
            "Check that its parts do not exclude each other.",
            param=grammar.field,
        )
    return Constraint(grammar, vocabulary, start, first)


def _refuse(grammar: Grammar, reason: str) -> None:
    """Raise `InvalidParameter` where there is a reason, in its first words."""
    if not reason:
        return
    raise InvalidParameter(
        f"{grammar.field} cannot be used: {_first_words(reason)}.",
        "Change it; docs/constraints.md says what is understood.",
        param=grammar.field,
    )


def _first_words(reason: str) -> str:
    """The beginning of llguidance's message, or the line of it that says what is wrong."""
    lines = [line.strip() for line in reason.splitlines()]
    line = next((line for line in lines if line.startswith("error: ")), lines[0])
    printable = "".join(c if c.isprintable() else " " for c in line.removeprefix("error: "))
    return printable[:LONGEST_REASON].rstrip(" .")
