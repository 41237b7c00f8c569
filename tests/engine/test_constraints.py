"""A text that is bound to a form has it, whatever the strategy, its neighbours and its settings."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter
from penstock.model.hub import builtin_folder
from penstock.model.loading import LoadedModel, load_model
from penstock.ops.torch_ops import TorchOps
from penstock.types import DecodingParams, FinishReason, GenerationRequest
from tests.decoding.schemas import make_schema
from tests.engine.driving import Result, run_all, run_alone
from tests.figures import record
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, tiny_model
from tests.tiny_t5 import tiny_t5

NUM_SCHEMAS = int(os.environ.get("PENSTOCK_SCHEMAS", "32"))  # `make stress` has 320
TINY = tiny_model(3, context_length=512)
SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": -3, "maximum": 100},
        "c": {"enum": ["x", "yy"]},
    },
    "required": ["n", "c"],
    "additionalProperties": False,
}
STRATEGIES: list[dict[str, Any]] = [
    {"strategy": "greedy"},
    {"strategy": "sampling", "temperature": 1.5},
    {"strategy": "sampling", "top_p": 0.5},
    {"strategy": "top_k", "top_k": 3},
    {"strategy": "beam_search", "num_beams": 3},
    {"strategy": "beam_sampling", "num_beams": 3, "temperature": 1.3, "top_k": 1},
    {"strategy": "diverse_beam_search", "num_beams": 4, "num_beam_groups": 3,
     "diversity_penalty": 2.0},
    {"strategy": "constrained_beam_search", "num_beams": 3, "force_words": (("9",), ("q",))},
    {"strategy": "best_of_n", "num_candidates": 3},
    {"strategy": "contrastive_search", "top_k": 4, "penalty_alpha": 0.5},
    {"strategy": "prompt_lookup", "prompt_lookup_num_tokens": 4},
    {"strategy": "dola", "dola_layers": (0, 1)},
    {"strategy": "controlled", "topic_words": (" sea",)},
]  # fmt: skip
BEAMS = [how for how in STRATEGIES if "num_beams" in how]


def ask(name: str = "r", **fields: Any) -> GenerationRequest:
    """A request; what is no field of it is a decoding parameter."""
    whole = {"prompt": "Once", "max_new_tokens": 300, "seed": 5, "strategy": "sampling"} | fields
    own = {k: v for k, v in whole.items() if k in GenerationRequest.__dataclass_fields__}
    params = {k: v for k, v in whole.items() if k not in own}
    return GenerationRequest(request_id=name, model="tiny", params=DecodingParams(**params), **own)


def write(**fields: Any) -> Result:
    return run_alone(TINY.model, ask(**fields))


def _random_model() -> LoadedModel:
    return TINY.model


def _built_in_model() -> LoadedModel:
    return load_model(builtin_folder(), model_id="penstock-tiny", ops=TorchOps())


@pytest.mark.parametrize("model_of", [_random_model, _built_in_model])
def test_every_text_is_valid_against_its_schema(model_of: Callable[[], LoadedModel]) -> None:
    model = model_of()
    schemas = [make_schema(seed) for seed in range(NUM_SCHEMAS)]
    requests = [
        ask(str(seed), json_schema=json.dumps(schema), **STRATEGIES[seed % len(STRATEGIES)])
        for seed, schema in enumerate(schemas)
    ]

    results = [
        result for first in range(0, NUM_SCHEMAS, 40)
        for result in run_all(model, requests[first : first + 40])
    ]  # fmt: skip

    for seed, (schema, result) in enumerate(zip(schemas, results, strict=True)):
        assert result.finished is not None and result.finished.error is None, seed
        (text,) = result.texts
        jsonschema.validate(
            json.loads(text), schema, format_checker=jsonschema.FormatChecker(["date", "ipv4"])
        )
        assert result.sequences[0].finish_reason is FinishReason.STOP, seed
        assert result.token_ids[0][-1] in model.tokenizer.eos_token_ids
    figures = {"schemas": NUM_SCHEMAS, "ways to decode": len(STRATEGIES), "valid": len(results)}
    record("texts of a set form", model.model_id, figures)


@pytest.mark.parametrize("how", STRATEGIES, ids=lambda how: "-".join(map(str, how.values())))
def test_a_text_in_a_batch_is_the_text_alone(how: dict[str, Any]) -> None:
    forms: list[dict[str, Any]] = [
        {"json_schema": json.dumps(SCHEMA)}, {"regex": "[ab]{3,9}c?"}, {},
        {"choice": ("yes", "no", "perhaps")}, {"grammar": 'start: "(" start ")" | "x"'},
    ]  # fmt: skip
    requests = [ask(str(i), max_new_tokens=24, **form, **how) for i, form in enumerate(forms * 2)]

    alone = [run_alone(TINY.model, request).token_ids for request in requests]

    for together in (
        run_all(TINY.model, requests),
        run_all(TINY.model, requests, EngineConfig(num_blocks=30, block_size=4), arrive_every=2),
    ):
        assert [result.token_ids for result in together] == alone


@settings(max_examples=10)
@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=6, unique=True),
       st.sampled_from(STRATEGIES), st.integers(0, 99))  # fmt: skip
def test_a_choice_gives_one_of_the_texts_whatever_they_are(
    choice: list[str], how: dict[str, Any], seed: int
) -> None:
    result = write(choice=tuple(choice), seed=seed, **how)

    assert set(result.texts) <= set(choice)


def test_a_pattern_matches_the_whole_text_and_its_anchors_say_nothing() -> None:
    for regex in (r"^[a-f]{2,5}/\d{2}\$$", r"[a-f]{2,5}/\d{2}\$"):
        (text,) = write(regex=regex).texts
        assert re.fullmatch(r"[a-f]{2,5}/[0-9]{2}\$", text)


def test_a_json_object_is_one() -> None:
    """Pushed towards its end: an untrained model would not find it."""
    ends = tuple((TINY.model.tokenizer.encode(sign)[0], 12.0) for sign in '"}]')

    (text,) = write(json_object=True, logit_bias=ends).texts

    assert isinstance(json.loads(text), dict)


def test_a_grammar_is_followed() -> None:
    (text,) = write(grammar='start: "[" (/[0-9]/ ",")* "]"').texts

    assert re.fullmatch(r"\[([0-9],)*\]", text)


@pytest.mark.parametrize("num_beams", [1, 3, 5])
def test_beams_are_those_of_transformers_kept_to_the_same_tokens(num_beams: int) -> None:
    choice = ["yes sir", "yes", "yard", "no", "never mind"]
    spelt = [[*TINY.model.tokenizer.encode(text), EOS] for text in choice]
    prompt = TINY.model.tokenizer.encode("Once")

    def allowed(_: int, token_ids: torch.Tensor) -> list[int]:
        written = token_ids[len(prompt) :].tolist()
        following = {
            t[len(written)] for t in spelt if t[: len(written)] == written and t != written
        }
        return sorted(following) or [EOS]

    reference = TINY.reference.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=20, do_sample=False, pad_token_id=EOS, num_beams=num_beams,
        prefix_allowed_tokens_fn=allowed,
    )[0, len(prompt) :].tolist()  # fmt: skip
    ours = write(
        strategy="beam_search", num_beams=num_beams, choice=tuple(choice), max_new_tokens=20
    )

    assert ours.token_ids[0] == reference[: reference.index(EOS) + 1]


FORMS: dict[str, dict[str, Any]] = {
    "json_schema": {"json_schema": json.dumps(SCHEMA)},
    "regex": {"regex": "([ab]{2,4}|c+d){1,3}e"},
    "choice": {"choice": ("yes", "yesterday", "no", "nobody knows")},
    "grammar": {"grammar": 'start: "(" inner ")" | "[" inner "]"\ninner: "x" | "(" "yy" ")"'},
}


def _has_form(name: str, text: str) -> bool:
    if name == "json_schema":
        jsonschema.validate(json.loads(text), SCHEMA)
        return True
    if name == "choice":
        return text in FORMS[name]["choice"]
    pattern = FORMS[name].get("regex", r"\((x|\(yy\))\)|\[(x|\(yy\))\]")
    return re.fullmatch(pattern, text) is not None


@pytest.mark.parametrize("model", [TINY.model, tiny_t5(3).model], ids=["gpt2", "t5"])
@pytest.mark.parametrize("how", BEAMS, ids=lambda how: how["strategy"])
@pytest.mark.parametrize("form", FORMS)
def test_every_beam_that_is_returned_has_the_form(
    model: LoadedModel, how: dict[str, Any], form: str
) -> None:
    num_texts = how["num_beams"]
    requests = [
        ask(str(seed), seed=seed, num_sequences=num_texts, max_new_tokens=60, **FORMS[form], **how)
        for seed in range(4)
    ]

    for result in run_all(model, requests, arrive_every=3):
        assert len(result.sequences) == num_texts
        for index, sequence in result.sequences.items():
            assert "".join(piece.text for piece in result.pieces[index]) == sequence.text
            if sequence.finish_reason is FinishReason.STOP:
                assert _has_form(form, sequence.text), sequence.text
        assert result.sequences[0].finish_reason is FinishReason.STOP


def test_words_are_forced_inside_a_form() -> None:
    """The form leaves room for the word, and the search finds the way through it."""
    result = write(
        strategy="constrained_beam_search", num_beams=4, max_new_tokens=60,
        regex='\\{"name": "[a-z ]{3,20}", "age": [0-9]{1,2}\\}', force_words=(("dragon",), ("42",)),
    )  # fmt: skip

    value = json.loads(result.texts[0])
    assert "dragon" in value["name"] and value["age"] == 42


def test_beams_find_the_likeliest_of_all_choices() -> None:
    choice = ("a", "b", "c", "d")

    result = write(strategy="beam_search", num_beams=4, num_sequences=4, choice=choice)

    scores = [result.sequences[i].score for i in range(4)]
    assert sorted(result.texts) == sorted(choice)
    assert scores == sorted(scores, key=lambda score: -(score or 0.0))


def test_more_texts_than_a_choice_allows_repeat_it() -> None:
    result = write(strategy="beam_search", num_beams=3, num_sequences=3, choice=("only",))

    assert result.texts == ["only"] * 3


@pytest.mark.parametrize(
    "against",
    [
        {"bad_words": ("yes", "no", "y", "n")},
        {"forced_bos_token_id": 40},
        {"forced_eos_token_id": 40, "max_new_tokens": 3},
        {"min_new_tokens": 20},
        {"suppress_tokens": tuple(range(1, 257))},
        {"logit_bias": ((EOS, 100.0), (40, 100.0))},
        {"stop": ("e", "o")},
        {"top_k": 1, "processor_order": ("top_k", "bad_words"), "bad_words": ("n", "y")},
        {"temperature": 0, "suppress_tokens": tuple(range(1, 257))},
    ],
    ids=lambda against: next(iter(against)),
)
@pytest.mark.parametrize("strategy", ["sampling", "greedy", *(how["strategy"] for how in BEAMS)])
def test_a_form_wins_over_what_would_break_it(strategy: str, against: dict[str, Any]) -> None:
    result = write(strategy=strategy, choice=("yes", "no"), **against)

    assert result.finished is not None and result.finished.error is None
    assert result.texts[0] in ("yes", "no", "yes"[: against.get("max_new_tokens", 3)])


def test_a_stop_string_ends_a_text_only_where_it_is_complete() -> None:
    unstopped = write(regex="a{6}(END)?b{2}", stop=("a", "aab"))
    stopped = write(grammar='start: "aa" tail\ntail: | "END" /b*/', stop=("END",), seed=11,
                    logit_bias=((EOS, -100.0),))  # fmt: skip

    assert re.fullmatch("a{6}(END)?b{2}", unstopped.texts[0])
    assert stopped.texts == ["aa"]
    assert "".join(piece.text for piece in stopped.pieces[0]) == "aa"


def test_the_end_is_not_possible_before_a_text_is_complete() -> None:
    result = write(regex="a{30}", logit_bias=((EOS, 100.0),))

    assert result.texts == ["a" * 30]


def test_a_length_limit_is_told_where_it_cuts_a_text() -> None:
    result = write(regex="a{30}", max_new_tokens=10)

    assert result.texts == ["a" * 10]
    assert result.sequences[0].finish_reason is FinishReason.LENGTH


def test_a_trace_shows_what_the_constraint_left() -> None:
    result = write(choice=("yes", "no"), trace=5)

    first = result.sequences[0].logprobs[0].stages
    assert [stage.name for stage in first][:2] == ["model", "constraint"]
    assert first[1].num_kept == 2


class Broken:
    """A constraint whose masks fail after the first."""

    def __init__(self) -> None:
        self.first = torch.ones(VOCAB_SIZE, dtype=torch.bool)
        self.is_broken = False

    def follow(self, executor: object) -> "Broken":
        return self

    def advance(self, token_id: int) -> None:
        self.is_broken = True

    def allowed(self) -> torch.Tensor:
        if self.is_broken:
            raise InvalidParameter("grammar is too complex.", "Simplify it.", param="grammar")
        return self.first

    def accepts(self, text: bytes) -> bool:
        return False


def test_a_grammar_that_becomes_too_complex_fails_its_own_request_alone() -> None:
    engine = Engine(TINY.model)
    broken: Any = Broken()
    engine.add(replace(prepare(ask("hard"), TINY.model), constraint=broken))
    engine.add(prepare(ask("easy", choice=("yes",)), TINY.model))
    results = {"hard": Result(), "easy": Result()}

    while engine.has_work:
        for output in engine.step():
            results[output.request_id].take(output)

    assert results["easy"].texts == ["yes"]
    hard = results["hard"].finished
    assert hard is not None and isinstance(hard.error, InvalidParameter)
    assert hard.error.param == "grammar"
    assert engine.stats().num_free_blocks == engine.stats().num_blocks


def test_cancelling_a_bound_text_leaves_nothing_behind() -> None:
    engine = Engine(TINY.model)
    engine.add(prepare(ask(regex="a{200}"), TINY.model))
    for _ in range(5):
        engine.step()

    engine.cancel("r")
    engine.step()

    assert not engine.has_work
    assert engine.stats().num_free_blocks == engine.stats().num_blocks
