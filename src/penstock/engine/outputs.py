"""From chosen tokens to what a client sees: text in whole characters, cut at stop strings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import starmap

from penstock.decoding.questions import Report
from penstock.decoding.strategies.interface import Finish, Tell
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
    TreeGrown,
    TreeNode,
)

SPACE = tuple(b" ")


class LogprobTree:
    """Log-probabilities by the path of tokens that leads to them, shared by all forks of a request.

    A token's probabilities depend on what came before it and on nothing else, so beams that are
    forked, dropped or finished need no bookkeeping. A token is shown as the text shows it: one
    that a tokenizer begins a text with, after `first` without any, loses its space.
    """

    def __init__(self, tokenizer: Tokenizer, first: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._named = partial(named, tokenizer)
        self._loses_space = tokenizer.strips_leading_space and self._has_no_text(first)
        self._nodes: dict[tuple[int, int], int] = {}  # (parent node, token id) → node; root is 0
        self._logprobs: dict[int, ChosenLogprob] = {}
        self._last_path: list[int] = []  # the path asked for last
        self._last_node = 0
        self._choices: dict[int, ChosenLogprob] = {}  # by the node they were made at

    def record(self, path: Sequence[int], token_ids: Sequence[int], report: Report) -> None:
        """Remember the probabilities of `token_ids` after the generated tokens `path`."""
        parent = self._node(path)
        named = self._named_at_start if self._is_start(path) else self._named
        top = tuple(starmap(named, report.top))
        stages = tuple(_stage(stage, named) for stage in report.stages)
        others = tuple(starmap(named, report.named))
        for token_id, logprob in zip(token_ids, report.chosen, strict=True):
            node = self._nodes.setdefault((parent, token_id), len(self._nodes) + 1)
            chosen = ChosenLogprob(named(token_id, logprob), top, stages, others)
            self._logprobs[node] = self._choices[parent] = chosen

    def along(self, path: Sequence[int], start: int = 0) -> tuple[ChosenLogprob, ...]:
        """What is known of each token of `path` from `start` on; empty when nothing was asked."""
        if not self._logprobs:
            return ()
        node, found = self._node(path, start), []
        for token_id in path[start:]:
            node = self._nodes[node, token_id]
            found.append(self._logprobs[node])
        return tuple(found)

    def after(self, path: Sequence[int]) -> ChosenLogprob | None:
        """The choice that was made after `path`, whatever became of it."""
        return self._choices.get(self._node(path)) if self._choices else None

    def _is_start(self, path: Sequence[int]) -> bool:
        return self._loses_space and self._has_no_text(path)

    def _has_no_text(self, token_ids: Iterable[int]) -> bool:
        return not any(map(self._tokenizer.token_bytes, token_ids))

    def _named_at_start(self, token_id: int, logprob: float) -> TokenLogprob:
        token = self._named(token_id, logprob)
        utf8 = token.utf8[1:] if token.utf8[:1] == SPACE else token.utf8
        return token._replace(token=token.token.removeprefix(" "), utf8=utf8)

    def _node(self, path: Sequence[int], length: int | None = None) -> int:
        """The node after so many tokens of a path; as a rule just beyond the one asked for last."""
        length = len(path) if length is None else length
        num_known = len(self._last_path)
        if num_known > length or path[:num_known] != self._last_path:
            self._last_path, self._last_node, num_known = [], 0, 0
        for token_id in path[num_known:length]:
            self._last_node = self._nodes[self._last_node, token_id]
            self._last_path.append(token_id)
        return self._last_node


def _stage(stage: TracedStage, named: Callable[[int, float], TokenLogprob]) -> Stage:
    return Stage(
        name=stage.name,
        num_kept=stage.num_kept,
        mass_kept=stage.mass_kept,
        entropy_bits=stage.entropy_bits,
        top=tuple(starmap(named, stage.top)),
    )


def named(tokenizer: Tokenizer, token_id: int, logprob: float) -> TokenLogprob:
    """A token's log-probability with the token as it is shown."""
    text, utf8 = tokenizer.shown(token_id)
    return TokenLogprob(token_id, text, logprob, utf8)


class TreeTeller:
    """Says in tokens as they are shown how a strategy's tree of candidates grows."""

    def __init__(self, request_id: str, tokenizer: Tokenizer) -> None:
        self._request_id = request_id
        self._tokenizer = tokenizer
        self._num_steps = 0

    def tell(self, told: Tell) -> TreeGrown:
        """What this step did."""
        self._num_steps += 1
        return TreeGrown(
            request_id=self._request_id,
            step=self._num_steps,
            expanded=tuple(map(self._named, told.expanded)),
            pruned=told.pruned,
            finished=tuple(map(self._named, told.finished)),
            returned=told.returned,
        )

    def _named(self, node: TreeNode) -> TreeNode:
        return replace(node, token=self._tokenizer.token_text(node.token_id))


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
            missing_words=finish.missing_words,
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
