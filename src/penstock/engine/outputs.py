"""From chosen tokens to what a client sees: text in whole characters, cut at stop strings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from penstock.decoding.sampler import Report
from penstock.decoding.strategies.interface import Finish
from penstock.decoding.trace import TracedStage
from penstock.text.detokenizer import IncrementalDetokenizer
from penstock.text.stop_strings import StopStringCutter
from penstock.text.tokenizer import Tokenizer
from penstock.types import (
    ChosenLogprob,
    FinishReason,
    SequenceFinished,
    Stage,
    TokenLogprob,
    TokensAdded,
)


class LogprobTree:
    """Log-probabilities by the path of tokens that leads to them, shared by all forks of a request.

    A token's probabilities depend on what came before it and on nothing else, so beams that are
    forked, dropped or finished need no bookkeeping.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._nodes: dict[tuple[int, int], int] = {}  # (parent node, token id) → node; root is 0
        self._logprobs: dict[int, ChosenLogprob] = {}
        self._choices: dict[int, ChosenLogprob] = {}  # by the node they were made at

    def record(self, path: Sequence[int], token_ids: Sequence[int], report: Report) -> None:
        """Remember the probabilities of `token_ids` after the generated tokens `path`."""
        parent = self._node(path)
        top = self._named(report.top)
        stages = tuple(self._stage(stage) for stage in report.stages)
        for token_id, logprob in zip(token_ids, report.chosen, strict=True):
            node = self._nodes.setdefault((parent, token_id), len(self._nodes) + 1)
            chosen = ChosenLogprob(named(self._tokenizer, token_id, logprob), top, stages)
            self._logprobs[node] = self._choices[parent] = chosen

    def along(self, path: Sequence[int], start: int = 0) -> tuple[ChosenLogprob, ...]:
        """What is known of each token of `path` from `start` on; empty when nothing was asked."""
        if not self._logprobs:
            return ()
        node, found = 0, []
        for token_id in path:
            node = self._nodes[node, token_id]
            found.append(self._logprobs[node])
        return tuple(found[start:])

    def after(self, path: Sequence[int]) -> ChosenLogprob | None:
        """The choice that was made after `path`, whatever became of it."""
        return self._choices.get(self._node(path)) if self._choices else None

    def _named(self, pairs: Iterable[tuple[int, float]]) -> tuple[TokenLogprob, ...]:
        return tuple(named(self._tokenizer, *pair) for pair in pairs)

    def _stage(self, stage: TracedStage) -> Stage:
        return Stage(
            name=stage.name,
            num_kept=stage.num_kept,
            mass_kept=stage.mass_kept,
            entropy_bits=stage.entropy_bits,
            top=self._named(stage.top),
        )

    def _node(self, path: Sequence[int]) -> int:
        node = 0
        for token_id in path:
            node = self._nodes[node, token_id]
        return node


def named(tokenizer: Tokenizer, token_id: int, logprob: float) -> TokenLogprob:
    """A token's log-probability with the token as it is shown."""
    utf8 = tuple(tokenizer.token_bytes(token_id))
    return TokenLogprob(token_id, tokenizer.token_text(token_id), logprob, utf8)


@dataclass(slots=True)
class ReturnedSequence:
    """One returned text in the making. Only grows: what it has given out never changes."""

    request_id: str
    index: int
    detokenizer: IncrementalDetokenizer
    cutter: StopStringCutter
    logprobs: LogprobTree
    token_ids: list[int] = field(default_factory=list)
    text: str = ""

    def add(self, token_ids: Sequence[int]) -> TokensAdded:
        """These tokens are certain: give out the text that is safe to show."""
        piece, _ = self.cutter.push(self.detokenizer.push(list(token_ids)))
        return self._give_out(piece, token_ids)

    def finish(self, finish: Finish) -> list[TokensAdded | SequenceFinished]:
        """The sequence is complete: give out what was held back, then all of it."""
        rest = finish.token_ids[len(self.token_ids) :]
        tail = self.detokenizer.push(list(rest))
        if finish.token_ids:  # else half a character can only be the prompt's
            tail += self.detokenizer.flush()
        piece, _ = self.cutter.push(tail)
        last = self._give_out(piece + self.cutter.flush(), rest)
        is_stopped = finish.reason is FinishReason.STOP
        finished = SequenceFinished(
            request_id=self.request_id,
            index=self.index,
            finish_reason=finish.reason,
            text=self.text,
            token_ids=finish.token_ids,
            score=finish.score,
            logprobs=self.logprobs.along(finish.token_ids),
            ending=self.logprobs.after(finish.token_ids) if is_stopped else None,
            stop_string=self.cutter.matched,
        )
        return [last, finished] if last.text or last.token_ids else [finished]

    def _give_out(self, piece: str, token_ids: Sequence[int]) -> TokensAdded:
        start = len(self.token_ids)
        self.token_ids += token_ids
        self.text += piece
        return TokensAdded(
            request_id=self.request_id,
            index=self.index,
            text=piece,
            token_ids=tuple(token_ids),
            logprobs=self.logprobs.along(self.token_ids, start),
        )
