"""Guesses how texts go on with a smaller model, whose cache it owns. Knows no strategies."""

import logging
from collections.abc import Collection, Iterable
from collections.abc import Sequence as Seq
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from penstock.decoding.sampler import answer
from penstock.engine.active_request import ActiveRequest
from penstock.engine.block_manager import BlockManager
from penstock.engine.config import EngineConfig
from penstock.engine.runner import Runner
from penstock.engine.scheduler import Planned
from penstock.engine.sequence import Sequence, Source
from penstock.model.loading import LoadedModel

logger = logging.getLogger(__name__)

NEGATIVE_INFINITY = float("-inf")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A sequence of a request that wants at most `count` guesses."""

    request: ActiveRequest
    sequence: Sequence
    count: int


@dataclass(frozen=True, slots=True)
class Drafting:
    """A wish at work: `draft` has the same tokens in the draft model's cache."""

    wanted: Wanted
    draft: Sequence


class Drafter:
    """One draft model with its cache. Its guesses decide how fast a text is written, never which.

    So it may always give up: where its blocks or its context do not suffice, where it has not read
    the prompt yet, and where it fails. Owned by the engine.
    """

    def __init__(self, model: LoadedModel, config: EngineConfig, *, vocab_size: int) -> None:
        self._chooser = model.chooser
        self._runner = Runner(model.family, replace(config, num_blocks=None))
        self._blocks = BlockManager(
            num_blocks=self._runner.num_blocks, block_size=config.block_size
        )
        self._context_length = model.context_length
        self._max_batch_tokens = config.max_batch_tokens
        self._vocab_size = vocab_size  # of the model that checks
        self._drafts: dict[Sequence, Sequence] = {}

    @property
    def holds_nothing(self) -> bool:
        """Whether all its blocks are free."""
        return self._blocks.num_free == self._blocks.num_blocks

    def keep_only(self, live: Collection[Sequence]) -> None:
        """Forget all sequences but these."""
        for sequence in [s for s in self._drafts if s not in live]:
            self._blocks.free(self._drafts.pop(sequence))

    def guess(self, wanted: Iterable[Wanted]) -> None:
        """Let each sequence go on with guesses, as many as can be had now."""
        drafting = [Drafting(w, self._follow(w.sequence)) for w in wanted]
        try:
            self._guess(drafting)
        except Exception:
            logger.exception("Drafting failed; texts go on without it.")
            for one in drafting:
                one.wanted.sequence.give_up_guesses()
            self.keep_only(())

    def _guess(self, drafting: Seq[Drafting]) -> None:
        while plan := self._plan(drafting):
            ready = [d for d, p in plan if p.completes]
            logits = self._run([p for _, p in plan])
            questions = [d.wanted.request.question_after_guesses(d.wanted.sequence) for d in ready]
            for one, answered in zip(ready, answer(logits, questions, self._chooser), strict=True):
                one.wanted.sequence.guess_next(answered.token_ids[0])
                one.draft.token_ids.append(answered.token_ids[0])
            drafting = [d for d in ready if d.wanted.sequence.num_guesses < d.wanted.count]

    def _run(self, plan: Seq[Planned[ActiveRequest]]) -> Tensor:
        logits = self._runner.run(plan).logits[:, : self._vocab_size]
        num_lacking = self._vocab_size - logits.shape[-1]
        return torch.nn.functional.pad(logits, (0, num_lacking), value=NEGATIVE_INFINITY)

    def _plan(self, drafting: Seq[Drafting]) -> list[tuple[Drafting, Planned[ActiveRequest]]]:
        """As much as fits a step; those who cannot go on are left out."""
        budget = self._max_batch_tokens
        plan = []
        for one in drafting:
            num_tokens = min(one.draft.num_pending, budget)
            is_too_long = len(one.draft.token_ids) > self._context_length
            if is_too_long or not num_tokens or not self._blocks.reserve(one.draft, num_tokens):
                continue
            plan.append((one, Planned(one.wanted.request, one.draft, num_tokens)))
            budget -= num_tokens
        return plan

    def _follow(self, sequence: Sequence) -> Sequence:
        """The draft of a sequence, with its certain tokens and what is still true of the cache."""
        certain = sequence.token_ids[: sequence.num_certain]
        draft = self._drafts.get(sequence)
        if draft is None:
            source = None if sequence.source is None else Source(sequence.source.token_ids)
            draft = Sequence(0, certain, num_prompt=sequence.num_prompt, source=source)
            self._drafts[sequence] = draft
        num_same = sequence.num_prompt
        for drafted, written in zip(draft.token_ids[num_same:], certain[num_same:], strict=False):
            if drafted != written:
                break
            num_same += 1
        self._blocks.truncate(draft, min(num_same, len(certain) - 1))  # its next logits are wanted
        draft.token_ids = certain
        return draft
