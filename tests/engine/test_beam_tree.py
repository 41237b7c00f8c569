"""The tree that beams grow, as the engine tells it: whole, and with the texts that come of it."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.types import (
    DecodingParams,
    EngineOutput,
    GenerationRequest,
    SequenceFinished,
    TreeGrown,
    TreeNode,
)
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import EOS, tiny_model

TINY = tiny_model().model
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("beam_search", {"num_beams": 3}),
    ("beam_search", {"num_beams": 4, "length_penalty": -1.0, "early_stopping": True}),
    ("beam_sampling", {"num_beams": 3, "temperature": 1.3}),
    ("diverse_beam_search",
     {"num_beams": 5, "num_beam_groups": 2, "diversity_penalty": 1.0}),
]  # fmt: skip


@dataclass
class Watcher:
    """Plays a tree back, refusing whatever cannot be."""

    nodes: dict[int, TreeNode] = field(default_factory=dict)
    living: set[int] = field(default_factory=lambda: {0})
    complete: set[int] = field(default_factory=set)
    returned: tuple[int, ...] = ()

    def watch(self, grown: TreeGrown) -> None:
        assert not self.returned, "nothing comes after the texts are returned"
        parents = {node.parent for node in (*grown.expanded, *grown.finished)}
        assert parents <= self.living
        for node in (*grown.expanded, *grown.finished):
            assert node.node not in self.nodes and node.node > 0
            self.nodes[node.node] = node
        pruned_alive = set(grown.pruned) & self.living
        assert pruned_alive == self.living - parents - {0}, "what nothing goes on from is pruned"
        assert set(grown.pruned) - pruned_alive <= self.complete
        self.complete -= set(grown.pruned)
        self.living = {node.node for node in grown.expanded}
        self.complete |= {node.node for node in grown.finished}
        self.returned = grown.returned

    def path(self, number: int) -> list[int]:
        tokens: list[int] = []
        while number:
            node = self.nodes[number]
            tokens.insert(0, node.token_id)
            number = node.parent
        return tokens


def outputs_of(request: GenerationRequest) -> list[EngineOutput]:
    engine = Engine(TINY)
    engine.add(prepare(request, TINY))
    outputs: list[EngineOutput] = []
    while engine.has_work:
        outputs += engine.step()
    return outputs


def request(strategy: str, params: dict[str, Any], **more: Any) -> GenerationRequest:
    fields = {"max_new_tokens": 12, "num_sequences": 2, "seed": 3, "beam_tree": True, **more}
    return GenerationRequest(
        request_id="r", prompt="The miller", model="tiny", strategy=strategy,
        params=DecodingParams(**params), **fields,
    )  # fmt: skip


@settings(deadline=None, max_examples=25)
@given(
    way=st.sampled_from(WAYS),
    seed=st.integers(0, 99),
    length=st.integers(1, 15),
    bias=st.sampled_from([0.0, 3.0, 6.0]),
    stop=st.sampled_from([(), ("e",)]),
)
def test_the_tree_leads_to_the_texts_that_are_returned(
    way: tuple[str, dict[str, Any]], seed: int, length: int, bias: float, stop: tuple[str, ...]
) -> None:
    strategy, params = way
    asked = request(
        strategy, {**params, "logit_bias": ((EOS, bias),)}, seed=seed, max_new_tokens=length,
        stop=stop,
    )  # fmt: skip
    outputs = outputs_of(asked)

    watcher = Watcher()
    steps = [output for output in outputs if isinstance(output, TreeGrown)]
    for step in steps:
        watcher.watch(step)
        limit = params["num_beams"]
        assert len(step.expanded) <= limit and len(watcher.complete) <= limit

    assert [step.step for step in steps] == list(range(1, len(steps) + 1))
    texts = [output for output in outputs if isinstance(output, SequenceFinished)]
    assert len(watcher.returned) == len(texts) == 2
    for number, text in zip(watcher.returned, texts, strict=True):
        node = watcher.nodes[number]
        assert number in watcher.complete
        assert watcher.path(number) == list(text.token_ids)
        assert (node.score, node.finish_reason) == (text.score, text.finish_reason)


@pytest.mark.parametrize(("strategy", "params"), WAYS)
def test_scores_fall_along_every_branch_and_watching_changes_nothing(
    strategy: str, params: dict[str, Any]
) -> None:
    asked = request(strategy, params)
    watcher = Watcher()
    for output in outputs_of(asked):
        if isinstance(output, TreeGrown):
            watcher.watch(output)

    for node in watcher.nodes.values():
        parent = watcher.nodes.get(node.parent)
        if node.finish_reason is None and parent is not None:
            assert node.score <= parent.score + 1e-6 and node.group == parent.group
        assert node.token == TINY.tokenizer.token_text(node.token_id)
    unwatched = run_alone(TINY, request(strategy, params, beam_tree=False))
    assert sorted(unwatched.token_ids) == sorted(watcher.path(n) for n in watcher.returned)


@pytest.mark.parametrize("strategy", ["greedy", "sampling", "contrastive_search"])
def test_without_beams_there_is_no_tree(strategy: str) -> None:
    params = {"top_k": 4} if strategy == "contrastive_search" else {}
    outputs = outputs_of(request(strategy, params, num_sequences=1))

    assert not any(isinstance(output, TreeGrown) for output in outputs)
