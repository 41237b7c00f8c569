"""DoLa writes what its definition says, worked out slowly on transformers' hidden states."""

import random
from dataclasses import replace
from typing import Any

import pytest
import torch

from penstock.decoding.processors import process
from penstock.engine.config import EngineConfig
from penstock.engine.layers import named_layers
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter
from penstock.types import DecodingParams, GenerationRequest
from tests.decoding.rows import make_row
from tests.decoding.slow_searches import LENGTH, contrast, dola
from tests.engine.driving import run_all, run_alone
from tests.tiny_bridged import tiny_bridged
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, tiny_model
from tests.tiny_t5 import START, TinyT5, tiny_t5


def ask(layers: str | tuple[int, ...], name: str = "r", **fields: Any) -> GenerationRequest:
    """A request; what is no field of it is a decoding parameter."""
    whole = {"prompt": (5, 6, 7), "max_new_tokens": LENGTH, "temperature": 0.0} | fields
    own = {k: v for k, v in whole.items() if k in GenerationRequest.__dataclass_fields__}
    params = {k: v for k, v in whole.items() if k not in own}
    return GenerationRequest(
        request_id=name,
        model="tiny",
        strategy="dola",
        params=DecodingParams(dola_layers=layers, **params),
        **own,
    )


@pytest.mark.parametrize("seed", range(8))
def test_dola_is_the_slow_definition(seed: int) -> None:
    rng = random.Random(seed)
    tiny = tiny_model(seed, num_layers=6)
    prompt = tuple(rng.randrange(1, VOCAB_SIZE) for _ in range(rng.randint(1, 25)))
    layers = tuple(sorted(rng.sample(range(6), rng.randint(1, 4))))

    result = run_alone(tiny.model, ask(layers, prompt=prompt))

    assert result.token_ids == [dola(tiny, prompt, layers)]


@pytest.mark.parametrize(("name", "layers"), [("low", (2,)), ("high", (3, 5))])
def test_named_layers_are_those_of_the_model(name: str, layers: tuple[int, ...]) -> None:
    tiny = tiny_model(3, num_layers=6)

    token_ids = run_alone(tiny.model, ask(name)).token_ids

    greedy = replace(ask(name), strategy="greedy", params=DecodingParams())
    assert token_ids == [dola(tiny, (5, 6, 7), layers)]
    assert token_ids != run_alone(tiny.model, greedy).token_ids


@pytest.mark.parametrize(
    ("num_layers", "is_tied", "low", "high"),
    [
        (1, True, [0], [0]),
        (2, True, [1], [1]),
        (2, False, [0], [1]),
        (3, True, [1], [1]),
        (6, True, [2], [3, 5]),
        (12, True, [2, 4], [6, 8, 10]),
        (12, False, [0, 2, 4], [6, 8, 10]),
        (40, False, list(range(0, 20, 2)), list(range(20, 40, 2))),
        (80, False, list(range(0, 20, 2)), list(range(60, 80, 2))),
        (60, True, list(range(2, 20, 2)), list(range(40, 60, 2))),
    ],
)
def test_the_halves_of_models_of_every_depth(
    num_layers: int, is_tied: bool, low: list[int], high: list[int]
) -> None:
    assert named_layers("low", num_layers, is_tied=is_tied) == tuple(low)
    assert named_layers("high", num_layers, is_tied=is_tied) == tuple(high)


def _slow_answer(tiny: TinyT5, prompt: tuple[int, ...], layers: tuple[int, ...]) -> list[int]:
    """A T5 scales what its head reads, here as for its last layer."""
    text, scale = [START], tiny.reference.config.d_model**-0.5
    while len(text) <= LENGTH and EOS not in text:
        with torch.inference_mode():
            output = tiny.reference(
                input_ids=torch.tensor([prompt]),
                decoder_input_ids=torch.tensor([text]),
                output_hidden_states=True,
            )
            states = [output.decoder_hidden_states[i][0, -1] for i in layers]
            early = [tiny.reference.lm_head(state * scale) for state in states]
        text.append(int(contrast(output.logits[0, -1], early).argmax()))
    return text[1:]


@pytest.mark.parametrize("seed", range(3))
def test_an_encoder_decoder_contrasts_the_layers_of_its_decoder(seed: int) -> None:
    tiny = tiny_t5(seed)

    result = run_alone(tiny.model, ask((0, 1)))

    assert result.token_ids == [_slow_answer(tiny, (5, 6, 7), (0, 1))]


def test_rows_with_other_layers_and_forbidden_tokens_do_not_disturb_each_other() -> None:
    torch.manual_seed(0)
    last, early = 3 * torch.randn(3, 40), 3 * torch.randn(3, 4, 40)
    last[1, 7:] = float("-inf")
    rows = [make_row(dola_layers=(0,), early=early[i, : i + 2]) for i in range(3)]

    together = process(last, rows)

    for i, row in enumerate(rows):
        torch.testing.assert_close(together[i : i + 1], process(last[i : i + 1], [row]))
        if i != 1:
            torch.testing.assert_close(together[i], contrast(last[i], [*early[i, : i + 2]]))
    short = contrast(last[1, :7], [*early[1, :3, :7]])  # as if the others did not exist
    torch.testing.assert_close(together[1, :7], short)
    assert together[1, 7:].isinf().all()


def test_it_goes_with_draws_forms_and_several_texts_in_any_batch() -> None:
    model = tiny_model(5, num_layers=4).model
    requests = [
        ask("high", "0", temperature=0.9, num_sequences=3, seed=3),
        ask((0, 1, 2), "1", choice=("yes", "no", "perhaps"), prompt="Once", max_new_tokens=20),
        replace(ask("low", "2"), strategy="sampling", params=DecodingParams(), seed=4),
        ask((3,), "3", repetition_penalty=1.2, logprobs=2, trace=3),
    ]

    alone = [run_alone(model, request) for request in requests]

    for config in (EngineConfig(num_blocks=400), EngineConfig(num_blocks=20, block_size=4)):
        together = run_all(model, requests, config, arrive_every=2)
        assert [r.token_ids for r in together] == [r.token_ids for r in alone]
    assert alone[1].texts[0] in ("yes", "no", "perhaps")
    assert len(set(alone[0].texts)) > 1


def test_a_trace_shows_the_contrast_and_logprobs_are_the_models_own() -> None:
    tiny = tiny_model(5, num_layers=4)

    (first, *_) = run_alone(tiny.model, ask("high", logprobs=2, trace=3)).sequences[0].logprobs

    assert [stage.name for stage in first.stages] == ["model", "dola_layers"]
    with torch.inference_mode():
        own = tiny.reference(torch.tensor([[5, 6, 7]])).logits[0, -1].log_softmax(-1)
    assert first.chosen.logprob == pytest.approx(float(own[first.chosen.token_id]), abs=1e-4)
    likely = int((own >= own.max() + torch.tensor(0.1).log()).sum())
    assert first.stages[1].num_kept == likely


@pytest.mark.parametrize("layers", ["middle", "", ()])
def test_what_names_no_layers_is_refused(layers: Any) -> None:
    with pytest.raises(InvalidParameter, match=r"names no layers\. Use low, high or a") as caught:
        ask(layers)

    assert caught.value.param == "dola_layers"


def test_a_layer_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(InvalidParameter) as caught:
        prepare(ask((0, 2)), tiny_model().model)

    assert str(caught.value) == ("dola_layers: tiny has no layer 2 before its last. Use 0 to 1.")
    assert caught.value.param == "dola_layers"


def test_a_model_that_runs_through_transformers_code_is_refused_by_name() -> None:
    with pytest.raises(InvalidParameter, match="opt does not tell the hidden states of its layers"):
        prepare(ask("high"), tiny_bridged("opt").model)
