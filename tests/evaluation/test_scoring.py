"""Perplexity and log-probabilities beside a slow, independent computation in double precision."""

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, GPT2LMHeadModel

from penstock.engine.config import EngineConfig
from penstock.evaluation.choosing import choose_answers
from penstock.evaluation.evaluate import Plan, evaluate
from penstock.evaluation.examples import Example, Examples
from penstock.evaluation.in_process import InProcess
from penstock.evaluation.progress import Watcher
from penstock.evaluation.scoring import Scoring, score_texts
from penstock.evaluation.writing import Writing, write_texts
from penstock.model.hub import builtin_folder
from penstock.serving.local_engine import LocalEngineKit
from penstock.serving.models import HostedModel, ServedModel
from penstock.types import DecodingParams
from tests.evaluation.subjects import subject_from
from tests.tiny_gpt2 import EOS
from tests.tiny_t5 import tiny_t5

TEXTS = [
    "Once upon a time there was a little dog. He had a red ball and he liked to run with it. " * 20,
    "The cat sat on the mat.",
    "Æblegrød er ikke let at sige for børn, der kommer langvejs fra, sagde møllerens kone.",
]


@pytest.fixture(scope="module")
def tiny() -> InProcess:
    return subject_from("penstock-tiny")


@pytest.fixture(scope="module")
def reference() -> GPT2LMHeadModel:
    return GPT2LMHeadModel.from_pretrained(builtin_folder(), dtype=torch.float64).eval()


@pytest.fixture(scope="module")
def tokenizer() -> AutoTokenizer:
    return AutoTokenizer.from_pretrained(builtin_folder())


def slow_nats(model: GPT2LMHeadModel, ids: list[int], context: int, stride: int) -> float:
    """The sum as the guide of transformers has it: windows, of each what is new is counted."""
    total, counted = 0.0, 1
    for begin in range(0, len(ids), stride):
        end = min(begin + context, len(ids))
        with torch.no_grad():
            logprobs = model(torch.tensor([ids[begin:end]])).logits[0].log_softmax(-1)
        for place in range(max(counted, begin + 1), end):
            total -= float(logprobs[place - begin - 1, ids[place]])
        counted = end
        if end == len(ids):
            return total
    return total


@pytest.mark.parametrize("stride", [None, 64, 300])
def test_perplexity_is_that_of_a_slow_computation(
    tiny: InProcess, reference: GPT2LMHeadModel, tokenizer: AutoTokenizer, stride: int | None
) -> None:
    rows = tuple(Example(row=n, text=text) for n, text in enumerate(TEXTS, 1))
    plan = Plan(tasks=("perplexity",), scoring=Scoring(stride=stride))

    found = evaluate(plan, tiny, Examples(name="t", digest="0", rows=rows))

    context = tiny.model.context_length
    ids = [[tokenizer.eos_token_id, *tokenizer(t)["input_ids"]] for t in TEXTS]
    assert len(ids[0]) > 1.5 * context - 400 and len(ids[0]) > 300
    nats = sum(slow_nats(reference, i, context, stride or context - 1) for i in ids)
    num_tokens = sum(len(i) - 1 for i in ids)
    figures = {f.name: f.value for f in found.figures}
    assert figures["perplexity"] == pytest.approx(math.exp(nats / num_tokens), rel=1e-6)
    num_words = sum(len(text.split()) for text in TEXTS)
    assert figures["perplexity_per_word"] == pytest.approx(math.exp(nats / num_words), rel=2e-6)
    bits = nats / math.log(2) / sum(len(text.encode()) for text in TEXTS)
    assert figures["bits_per_byte"] == pytest.approx(bits, rel=1e-6)


def test_without_a_start_token_the_first_is_not_scored(
    tiny: InProcess, reference: GPT2LMHeadModel, tokenizer: AutoTokenizer
) -> None:
    rows = [Example(row=7, text=TEXTS[1]), Example(row=8, text="a")]

    (found,) = score_texts(tiny, rows, Scoring(with_start=False), Watcher())

    ids = tokenizer(TEXTS[1])["input_ids"]
    assert (found.row, found.num_tokens) == (7, len(ids) - 1)  # "a" has nothing to score
    assert found.nats == pytest.approx(slow_nats(reference, ids, 512, 511), rel=1e-6)


def test_choices_have_the_log_probabilities_of_a_slow_computation(
    tiny: InProcess, reference: GPT2LMHeadModel, tokenizer: AutoTokenizer
) -> None:
    prompt, choices = "The dog ran to the", ("park", "mathematical theorem", " ball.")
    row = Example(row=3, prompt=prompt, choices=choices, answer=0)

    (found,) = choose_answers(tiny, [row, Example(row=4, text="not asked")], Watcher())

    begin = [tokenizer.eos_token_id]
    for place, choice in enumerate((" park", " mathematical theorem", " ball.")):
        whole = begin + tokenizer(prompt + choice)["input_ids"]
        before = begin + tokenizer(prompt)["input_ids"]
        nats = slow_nats(reference, whole, 512, 511) - slow_nats(reference, before, 512, 511)
        assert found.logprobs[place] == pytest.approx(-nats, abs=1e-4)
    assert (found.answer, found.likeliest) == (0, max(range(3), key=found.logprobs.__getitem__))
    assert found.likeliest != 1


def test_of_a_prompt_that_leaves_no_room_the_end_is_given_and_the_report_says_so(
    tiny: InProcess,
) -> None:
    end = "The little dog ran to the"
    long = Example(row=1, prompt=TEXTS[0] * 2 + end, choices=("park", " ball."), answer=0)
    rows = (long, Example(row=2, prompt=end, references=("park",)))
    plan = Plan(
        tasks=("distinct", "multiple_choice", "latency"), writing=Writing(max_new_tokens=40)
    )

    found = evaluate(plan, tiny, Examples(name="t", digest="0", rows=rows))
    written = write_texts(tiny, rows, plan.writing, Watcher())

    room = tiny.model.context_length - 40
    given = written[0].prompt
    assert (written[0].is_shortened, written[1].is_shortened) == (True, False)
    assert long.prompt.endswith(f" {given}")
    assert 0.9 * room < len(tiny.tokenize(given)) <= room
    assert found.settings["prompts_shortened"] == 1


def test_stories_of_its_own_kind_hardly_surprise_a_model_of_stories(shared_data: Path) -> None:
    """Its published loss on held-out stories of its kind is 1.297 per token."""
    subject = subject_from(shared_data / "weights" / "stories260K")
    opening = Example(row=0, prompt="Once upon a time")
    prompts = [Example(row=n, prompt=opening.prompt) for n in range(1, 13)]
    drawn = Writing(max_new_tokens=200, strategy="sampling", params=DecodingParams())

    stories = write_texts(subject, prompts, drawn, Watcher())
    texts = [Example(row=s.row, text=s.prompt + s.text) for s in stories]
    scored = score_texts(subject, texts, Scoring(), Watcher())
    others = score_texts(subject, [Example(row=1, text=TEXTS[2])], Scoring(), Watcher())

    loss = sum(s.nats for s in scored) / sum(s.num_tokens for s in scored)
    assert 1.0 < loss < 1.6
    assert others[0].nats / others[0].num_tokens > 2 * loss


def test_an_empty_text_and_one_row_are_no_trouble(tiny: InProcess) -> None:
    rows = (Example(row=1, text=TEXTS[1]), Example(row=2, text=" "))
    plan = Plan(tasks=("perplexity", "distinct"))

    found = evaluate(plan, tiny, Examples(name="t", digest="0", rows=rows))

    perplexity = found.figure("perplexity")
    assert perplexity is not None and perplexity.value is not None
    assert (perplexity.rows, perplexity.low) == ((1,), None)
    distinct = found.figure("distinct_1")
    assert distinct is not None and "No row" in distinct.problem


def test_an_answer_is_scored_after_its_prompt(
    tiny: InProcess, reference: GPT2LMHeadModel, tokenizer: AutoTokenizer
) -> None:
    prompt, answer = "One day, the dog", "ran to the park."
    row = Example(row=1, prompt=prompt, references=(answer,))

    (found,) = score_texts(tiny, [row], Scoring(), Watcher())

    begin = [tokenizer.eos_token_id]
    whole = begin + tokenizer(f"{prompt} {answer}")["input_ids"]
    before = begin + tokenizer(prompt)["input_ids"]
    nats = slow_nats(reference, whole, 512, 511) - slow_nats(reference, before, 512, 511)
    assert found.nats == pytest.approx(nats, rel=1e-5)
    assert (found.num_tokens, found.num_words) == (len(whole) - len(before), 4)


def test_an_encoder_decoder_is_scored_on_its_answers() -> None:
    """Beside the loss of transformers, in double precision, the end token included."""
    made = tiny_t5()
    served = ServedModel(
        id="tiny-t5", context_length=128, hidden_size=None, num_parameters=1, dtype="float32",
        num_bytes=1, weights_digest="", continues_prompt=False,
    )  # fmt: skip
    subject = InProcess(HostedModel(served, LocalEngineKit(made.model, EngineConfig())))
    row = Example(row=1, prompt="Who?", choices=("the sun", "a hen"), answer=0,
                  references=("the sun",))  # fmt: skip

    (found,) = score_texts(subject, [row], Scoring(), Watcher())
    (chosen,) = choose_answers(subject, [row], Watcher())

    encode = made.model.tokenizer.encode_word
    source = torch.tensor([made.model.tokenizer.encode("Who?")])
    double = made.reference.double()
    sums = []
    for answer in row.choices:
        labels = torch.tensor([[*encode(answer), EOS]])
        with torch.no_grad():
            sums.append(float(double(input_ids=source, labels=labels).loss) * labels.numel())
    assert found.num_tokens == len("the sun") + 1
    assert found.nats == pytest.approx(sums[0], rel=1e-5)
    assert chosen.logprobs == pytest.approx([-value for value in sums], rel=1e-5)
