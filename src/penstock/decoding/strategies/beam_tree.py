"""Tells how the candidates of a beam strategy grow, as a tree. Knows groups only by what is left.

A node is a text in a group: the prompt is node 0. All that lives or is complete after a step and
did not before has grown; all that did and does not has been pruned.
"""

from collections.abc import Iterable, Sequence

from penstock.decoding.strategies.beam_group import (
    Beam,
    BeamGroup,
    Candidate,
    Hypothesis,
    TokenIds,
)
from penstock.decoding.strategies.interface import Tell
from penstock.types import TreeNode

Place = tuple[int, TokenIds]  # the number of the group and the tokens generated


class BeamTree:
    """Numbers the nodes and remembers those that are not pruned."""

    def __init__(self) -> None:
        self._numbers: dict[Place, int] = {}
        self._complete: dict[Place, int] = {}
        self._num_nodes = 0

    def grow(self, groups: Sequence[BeamGroup], alive: Sequence[Sequence[Candidate]]) -> Tell:
        """What a step did: `groups` still have their former beams, `alive` are those to come."""
        expanded: list[TreeNode] = []
        finished: list[TreeNode] = []
        pruned: list[int] = []
        for number, (group, living) in enumerate(zip(groups, alive, strict=True)):
            expanded += [self._expanded(number, candidate) for candidate in living]
            fresh = [h for h in group.hypotheses if (number, h.token_ids) not in self._complete]
            finished += [self._finished(number, hypothesis) for hypothesis in fresh]
            kept = {(number, hypothesis.token_ids) for hypothesis in group.hypotheses}
            pruned += self._barren(number, group.beams, living, fresh)
            pruned += self._displaced(number, kept)
        return Tell(tuple(expanded), tuple(pruned), tuple(finished))

    def numbers(self, texts: Iterable[TokenIds]) -> tuple[int, ...]:
        """The nodes of complete texts, that of the first group where several have the same."""
        found = {place[1]: number for place, number in reversed(self._complete.items())}
        return tuple(found[token_ids] for token_ids in texts)

    def _expanded(self, group: int, candidate: Candidate) -> TreeNode:
        token_ids = candidate.token_ids
        number = self._numbers[group, token_ids] = self._next()
        return TreeNode(
            node=number,
            parent=self._parent(group, token_ids),
            token_id=candidate.token_id,
            score=candidate.score,
            group=group,
        )

    def _finished(self, group: int, hypothesis: Hypothesis) -> TreeNode:
        token_ids = hypothesis.token_ids
        number = self._complete[group, token_ids] = self._next()
        return TreeNode(
            node=number,
            parent=self._parent(group, token_ids),
            token_id=token_ids[-1],
            score=hypothesis.score,
            group=group,
            finish_reason=hypothesis.reason,
        )

    def _barren(
        self,
        group: int,
        beams: Iterable[Beam],
        living: Iterable[Candidate],
        fresh: Iterable[Hypothesis],
    ) -> list[int]:
        """The former beams that nothing goes on from."""
        parents = {c.parent.token_ids for c in living} | {h.token_ids[:-1] for h in fresh}
        return [
            self._numbers[group, beam.token_ids]
            for beam in beams
            if beam.token_ids and beam.token_ids not in parents
        ]

    def _displaced(self, group: int, kept: set[Place]) -> list[int]:
        """The complete texts that better ones have taken the place of."""
        gone = [place for place in self._complete if place[0] == group and place not in kept]
        return [self._complete.pop(place) for place in gone]

    def _parent(self, group: int, token_ids: TokenIds) -> int:
        return self._numbers[group, token_ids[:-1]] if len(token_ids) > 1 else 0

    def _next(self) -> int:
        self._num_nodes += 1
        return self._num_nodes
