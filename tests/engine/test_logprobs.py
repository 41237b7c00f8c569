"""Log-probabilities are the model's own: equal to log_softmax over transformers' logits.

Whatever the strategy, the penalties and the way the work was cut into steps.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter, PromptTooLong
from penstock.types import (
    ChosenLogprob,
    DecodingParams,
    EngineOutput,
    FinishReason,
    GenerationRequest,
    PromptScored,
    RequestFinished,
    SequenceFinished,
    TokensAdded,
)
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, tiny_model

TINY = tiny_model(11)
PROMPT = tuple(range(60, 101))
PENALISED = DecodingParams(temperature=0.4, top_k=3, repetition_penalty=1.8)
REQUEST = GenerationRequest(
    request_id="r", prompt=PROMPT, model="tiny", max_new_tokens=12, seed=5, logprobs=4
)
STRATEGIES = {
    "greedy": replace(REQUEST, strategy="greedy", params=DecodingParams(repetition_penalty=1.8)),
    "sampling": replace(REQUEST, num_sequences=3, params=PENALISED),
    "beam_sampling": replace(
        REQUEST,
        strategy="beam_sampling",
        num_sequences=2,
        params=replace(PENALISED, num_beams=3),
    ),
    "contrastive_search": replace(
        REQUEST,
        strategy="contrastive_search",
        params=DecodingParams(top_k=3, penalty_alpha=0.5, repetition_penalty=1.8),
    ),
    "best_of_n": replace(
        REQUEST, strategy="best_of_n", num_sequences=2, params=replace(PENALISED, num_candidates=3)
    ),
    "beam_search": replace(
        REQUEST, strategy="beam_search", num_sequences=2, params=DecodingParams(num_beams=4)
    ),
}


def reference_logprobs(token_ids: Sequence[int]) -> Tensor:
    """log_softmax of transformers' logits after each token (num_tokens, vocab_size)."""
    with torch.inference_mode():
        logits = TINY.reference(torch.tensor([list(token_ids)])).logits[0]
    return logits.log_softmax(dim=-1)


def assert_same(
    scored: Sequence[ChosenLogprob], expected: Tensor, token_ids: Sequence[int]
) -> None:
    """`expected` (num_tokens, vocab_size) is what the model gave before each of `token_ids`."""
    assert [s.chosen.token_id for s in scored] == list(token_ids)
    for one, row in zip(scored, expected, strict=True):
        assert one.chosen.logprob == pytest.approx(row[one.chosen.token_id].item(), abs=1e-4)
        best = row.topk(len(one.top))
        assert [t.logprob for t in one.top] == pytest.approx(best.values.tolist(), abs=1e-4)
        assert [t.token_id for t in one.top] == best.indices.tolist()


def outputs_of(
    request: GenerationRequest, config: EngineConfig | None = None
) -> list[EngineOutput]:
    engine = Engine(TINY.model, config)
    engine.add(prepare(request, TINY.model))
    outputs: list[EngineOutput] = []
    while engine.has_work:
        outputs += engine.step()
    return outputs


def prompt_scores(outputs: Sequence[EngineOutput]) -> PromptScored:
    (scored,) = [o for o in outputs if isinstance(o, PromptScored)]
    return scored


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_chosen_tokens_have_the_models_own_logprobs(strategy: str) -> None:
    result = run_alone(TINY.model, STRATEGIES[strategy])

    for sequence in result.sequences.values():
        whole = (*PROMPT, *sequence.token_ids)
        expected = reference_logprobs(whole)[len(PROMPT) - 1 : -1]
        assert {len(s.top) for s in sequence.logprobs} == {4}
        assert_same(sequence.logprobs, expected, sequence.token_ids)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_logprobs_change_no_token_and_are_not_there_when_nobody_asked(strategy: str) -> None:
    request = STRATEGIES[strategy]

    without = run_alone(TINY.model, replace(request, logprobs=None))

    assert without.token_ids == run_alone(TINY.model, request).token_ids
    assert all(s.logprobs == () for s in without.sequences.values())


def test_up_to_a_hundred_alternatives_are_reported() -> None:
    (sequence,) = run_alone(
        TINY.model, replace(STRATEGIES["greedy"], logprobs=100)
    ).sequences.values()

    assert {len(s.top) for s in sequence.logprobs} == {100}


@pytest.mark.parametrize("budget", [256, 7, 1], ids=lambda n: f"{n} tokens per step")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_prompt_is_scored_however_it_is_cut_into_steps(strategy: str, budget: int) -> None:
    config = EngineConfig(num_blocks=200, max_batch_tokens=budget)
    request = replace(STRATEGIES[strategy], prompt_logprobs=3)

    outputs = outputs_of(request, config)

    scored = prompt_scores(outputs)
    assert scored.first.token_id == PROMPT[0]
    assert_same(scored.logprobs, reference_logprobs(PROMPT)[:-1], PROMPT[1:])
    kinds = [type(output) for output in outputs]
    later = {TokensAdded, SequenceFinished, RequestFinished} & set(kinds)
    assert kinds.index(PromptScored) < min(map(kinds.index, later))


def test_scoring_the_prompt_changes_no_token() -> None:
    for request in STRATEGIES.values():
        scored = run_alone(TINY.model, replace(request, prompt_logprobs=0))

        assert scored.token_ids == run_alone(TINY.model, request).token_ids


def test_scored_and_unscored_prompts_share_steps() -> None:
    engine = Engine(TINY.model, EngineConfig(num_blocks=60, max_batch_tokens=48))
    prompts = [tuple((i * 17 + j) % VOCAB_SIZE for j in range(20 + 9 * i)) for i in range(6)]
    for i, prompt in enumerate(prompts):
        request = replace(
            REQUEST, request_id=str(i), prompt=prompt, prompt_logprobs=2 if i % 2 else None
        )
        engine.add(prepare(request, TINY.model))
    outputs: list[EngineOutput] = []
    while engine.has_work:
        outputs += engine.step()

    by_id = {o.request_id: o for o in outputs if isinstance(o, PromptScored)}
    assert by_id.keys() == {"1", "3", "5"}
    for request_id, scored in by_id.items():
        prompt = prompts[int(request_id)]
        assert_same(scored.logprobs, reference_logprobs(prompt)[:-1], prompt[1:])


def test_a_prompt_of_one_token_has_no_logprobs() -> None:
    scored = prompt_scores(outputs_of(replace(REQUEST, prompt=(65,), prompt_logprobs=1)))

    assert (scored.first.token_id, scored.logprobs) == (65, ())


def test_no_new_tokens_scores_the_prompt_and_writes_nothing() -> None:
    whole_context = tuple(i % VOCAB_SIZE for i in range(TINY.model.context_length))
    request = replace(
        REQUEST, prompt=whole_context, prompt_logprobs=0, max_new_tokens=0, num_sequences=2
    )

    outputs = outputs_of(request)

    assert len(prompt_scores(outputs).logprobs) == len(whole_context) - 1
    finished = [o for o in outputs if isinstance(o, SequenceFinished)]
    assert [(f.text, f.token_ids, f.finish_reason) for f in finished] == [
        ("", (), FinishReason.LENGTH)
    ] * 2
    assert not [o for o in outputs if isinstance(o, TokensAdded)]
    with pytest.raises(PromptTooLong, match="Shorten the prompt by at least 1 tokens"):
        prepare(replace(request, prompt=(*whole_context, 1)), TINY.model)


def test_a_tokens_bytes_come_with_it_and_special_tokens_have_none() -> None:
    scored = prompt_scores(outputs_of(replace(REQUEST, prompt="é!", prompt_logprobs=0)))
    ended = prompt_scores(outputs_of(replace(REQUEST, prompt=(65, 0), prompt_logprobs=0)))

    utf8 = [scored.first.utf8, *(s.chosen.utf8 for s in scored.logprobs)]
    assert bytes(b for token in utf8 for b in token).decode() == "é!"
    (end,) = ended.logprobs
    assert (end.chosen.token, end.chosen.utf8) == ("<|endoftext|>", ())


@pytest.mark.parametrize(
    ("strategy", "params"),
    [
        ("greedy", {"repetition_penalty": 1.5}),
        ("sampling", {"temperature": 0.7, "top_k": 3}),
        ("beam_search", {"num_beams": 3}),
        ("contrastive_search", {"top_k": 3}),
        ("prompt_lookup", {"temperature": 0.0, "prompt_lookup_num_tokens": 4}),
    ],
)
def test_named_tokens_are_reported_at_every_place_whatever_their_rank(
    strategy: str, params: dict[str, Any]
) -> None:
    tiny = tiny_model()
    named = ((70,), "e", (EOS,), (70,))
    request = GenerationRequest(
        request_id="r", prompt="abab abab", model="tiny", strategy=strategy, seed=1,
        params=DecodingParams(**params), max_new_tokens=8, named_tokens=named, prompt_logprobs=0,
    )  # fmt: skip
    engine = Engine(tiny.model)
    engine.add(prepare(request, tiny.model))
    outputs: list[EngineOutput] = []
    while engine.has_work:
        outputs += engine.step()

    (scored,) = [o for o in outputs if isinstance(o, PromptScored)]
    (text,) = [o for o in outputs if isinstance(o, SequenceFinished)]
    prompt = tiny.model.tokenizer.encode("abab abab")
    with torch.inference_mode():
        logits = tiny.reference(torch.tensor([[*prompt, *text.token_ids]])).logits[0]
    ids = [70, *tiny.model.tokenizer.encode("e"), EOS, 70]
    expected = logits.log_softmax(-1)[:-1, ids]
    found = [*scored.logprobs, *text.logprobs]
    assert [[t.token_id for t in one.named] for one in found] == [ids] * len(expected)
    told = torch.tensor([[t.logprob for t in one.named] for one in found])
    assert torch.allclose(told, expected, atol=1e-4)
    assert all(one.top == () for one in found)


def test_a_name_for_several_tokens_or_none_is_refused() -> None:
    model = tiny_model().model
    request = GenerationRequest(request_id="r", prompt="a", model="tiny")

    for word, said in [("ab", "is 2 tokens"), ((1, 2), "is 2 tokens"), ((999,), "token id 999")]:
        with pytest.raises(InvalidParameter, match=said) as refused:
            prepare(replace(request, named_tokens=(word,)), model)
        assert refused.value.param == "named_tokens"
    with pytest.raises(InvalidParameter, match="Use at most 100"):
        replace(request, named_tokens=((1,),) * 101)
