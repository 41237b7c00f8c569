"""Log-probabilities as OpenAI shows them, in step with the text. Pure; knows no engine.

A token is told of when the text it begins in is shown, so that no token of a stop string leaks and
a stream says what a whole answer says.
"""

import codecs
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.types import ChosenLogprob, PromptScored, TokenLogprob

LOWEST = -9999.0  # OpenAI's stand-in for minus infinity, which JSON lacks
_new_decoder = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Placed:
    """A token's log-probabilities, and where in the text it begins, in characters."""

    scored: ChosenLogprob
    offset: int


class LogprobTrack:
    """Holds one text's log-probabilities back until their text is shown."""

    def __init__(self) -> None:
        self._decoder = _new_decoder("replace")
        self.num_decoded = 0
        self._num_shown = 0
        self._waiting: deque[Placed] = deque()

    def push(self, text: str, scored: Iterable[ChosenLogprob]) -> list[Placed]:
        """Take what was added; return what may be told now."""
        self._num_shown += len(text)
        for one in scored:
            self._waiting.append(Placed(one, self.num_decoded))
            self.num_decoded += len(self._decoder.decode(bytes(one.chosen.utf8)))
        told = []
        while self._waiting and self._waiting[0].offset < self._num_shown:
            told.append(self._waiting.popleft())
        return told

    def everything(self) -> list[Placed]:
        """All that waits, shown or not."""
        placed = list(self._waiting)
        self._waiting.clear()
        return placed

    def finish(self) -> list[Placed]:
        """What is left once all text is shown: special tokens at its end, but no stop string."""
        left = [p for p in self._waiting if not p.scored.chosen.utf8]
        self._waiting.clear()
        return left


def legacy(placed: Sequence[Placed], *, start: int = 0) -> dict[str, Any]:
    """The `logprobs` of `/v1/completions`; `start` is where the text begins behind its echo."""
    return {
        "tokens": [_label(p.scored.chosen) for p in placed],
        "token_logprobs": [_finite(p.scored.chosen.logprob) for p in placed],
        "top_logprobs": [_alternatives(p.scored) for p in placed],
        "text_offset": [start + p.offset for p in placed],
    }


def legacy_prompt(scored: PromptScored, prompt: str) -> dict[str, Any]:
    """The same for an echoed prompt. Nothing precedes its first token: that has null."""
    track = LogprobTrack()
    first = ChosenLogprob(
        TokenLogprob(scored.first.token_id, scored.first.text, 0.0, scored.first.utf8), ()
    )
    track.push("", [first, *scored.logprobs])
    placed = track.everything()
    surplus = track.num_decoded - len(prompt)  # a space that the tokenizer put before the text
    shown = legacy([Placed(p.scored, max(0, p.offset - surplus)) for p in placed])
    shown["token_logprobs"][0] = shown["top_logprobs"][0] = None
    return shown


def joined(first: dict[str, Any] | None, second: dict[str, Any]) -> dict[str, Any]:
    """The legacy log-probabilities of a prompt and of the text after it."""
    return second if first is None else {name: first[name] + second[name] for name in second}


def chat(placed: Sequence[Placed]) -> dict[str, Any]:
    """The `logprobs` of a chat's choice. Special tokens are no content."""
    return {"content": [_scored(p, no_bytes=None) for p in _of_text(placed)], "refusal": None}


def response(placed: Sequence[Placed]) -> list[dict[str, Any]]:
    """The `logprobs` of a response's text. There, what has no bytes has an empty list."""
    return [_scored(p, no_bytes=[]) for p in _of_text(placed)]


def mean(scored: Sequence[ChosenLogprob]) -> float:
    """The mean log-probability of the tokens; minus infinity of none."""
    total = sum(one.chosen.logprob for one in scored)
    return total / len(scored) if scored else float("-inf")


def _alternatives(scored: ChosenLogprob) -> dict[str, float]:
    """The chosen token among its likeliest rivals, best first. Equal names keep the likelier."""
    ranked = sorted((*scored.top, scored.chosen), key=lambda token: -token.logprob)
    found: dict[str, float] = {}
    for token in ranked:
        found.setdefault(_label(token), _finite(token.logprob))
    return found


def _label(token: TokenLogprob) -> str:
    """A token's text; part of a character is spelt as OpenAI spells it, `bytes:\\xf0\\x9f`."""
    try:
        bytes(token.utf8).decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.utf8)
    return token.token


def _of_text(placed: Sequence[Placed]) -> list[Placed]:
    return [p for p in placed if p.scored.chosen.utf8]


def _scored(placed: Placed, no_bytes: list[int] | None) -> dict[str, Any]:
    top = [_token(token, no_bytes) for token in placed.scored.top]
    return {**_token(placed.scored.chosen, no_bytes), "top_logprobs": top}


def _token(token: TokenLogprob, no_bytes: list[int] | None) -> dict[str, Any]:
    return {
        "token": _label(token),
        "logprob": _finite(token.logprob),
        "bytes": list(token.utf8) or no_bytes,
    }


def _finite(logprob: float) -> float:
    return max(logprob, LOWEST)
