"""`POST /generate`: the whole answer, the stream of events, and what is done with the fields."""

import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.reading import DONE, events_of, texts_of
from tests.fakes import fake_text

PROMPT = "Once upon a time"
VARIES = re.compile(r'"(?:gen|rcpt)_[0-9a-f]+"')


@pytest.fixture
def client(shared_client: TestClient) -> TestClient:
    return shared_client


def generate(client: TestClient, **fields: Any) -> Any:
    response = client.post("/generate", json={"prompt": PROMPT, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def stream(client: TestClient, **fields: Any) -> list[Any]:
    response = client.post("/generate", json={"prompt": PROMPT, "stream": True, **fields})
    assert response.status_code == 200, response.text
    return events_of(response.text)


def test_the_answer_has_every_field_of_the_contract(client: TestClient) -> None:
    answer = generate(client, max_new_tokens=3, seed=7, top_k=5, num_beams=2)

    assert re.fullmatch(r"gen_[0-9a-f]{32}", answer.pop("id"))
    assert re.fullmatch(r"rcpt_[0-9a-f]{24}", answer.pop("receipt"))
    assert answer == {
        "generated_text": "Once upon a time there was a",
        "prompt": "Once upon a time",
        "rendered_prompt": "Once upon a time",
        "model": "penstock-tiny",
        "continues_prompt": True,
        "strategy": "sampling",
        "parameters": {
            "type": "nucleus_sampling",
            "temperature": 0.8,
            "top_p": 0.95,
            "top_k": 5,
            "max_new_tokens": 3,
        },
        "unused_parameters": ["num_beams"],
        "seed": 7,
        "sequences": [
            {
                "text": " there was a",
                "finish_reason": "length",
                "tokens": 3,
                "score": None,
                "logprobs": None,
            }
        ],
        "postprocess": [],
        "usage": {
            "prompt_tokens": 4,
            "completion_tokens": 3,
            "total_tokens": 7,
            "cached_tokens": 0,
        },
        "timings": {
            "queue_ms": 1.0,
            "prompt_ms": 10.0,
            "first_token_ms": 21.0,
            "generation_ms": 480.0,
            "tokens_per_second": 6.0,
        },
    }


TRANSCRIPT = """\
data: {"event":"start","id":ID,"model":"penstock-tiny","continues_prompt":true,"strategy":\
"greedy","parameters":{"type":"greedy","max_new_tokens":2},"unused_parameters":[],"seed":42,\
"rendered_prompt":"Once upon a time","usage":{"prompt_tokens":4},"num_sequences":1}

data: {"event":"token","index":0,"text":" there","token_ids":[0],"logprobs":[{"token":" there",\
"token_id":0,"logprob":-0.25,"top":[{"token":" there","token_id":0,"logprob":-1.0}]}]}

data: {"event":"token","index":0,"text":" was","token_ids":[1],"logprobs":[{"token":" was",\
"token_id":1,"logprob":-0.25,"top":[{"token":" there","token_id":0,"logprob":-1.0}]}]}

data: {"event":"finish","index":0,"finish_reason":"length","tokens":2,"score":null,\
"text":" there was"}

data: {"event":"done","id":ID,"generated_text":"Once upon a time there was","prompt":\
"Once upon a time","rendered_prompt":"Once upon a time","model":"penstock-tiny",\
"continues_prompt":true,"strategy":"greedy","parameters":{"type":"greedy","max_new_tokens":2},"unused_parameters":[],"seed":42,\
"sequences":[{"text":" there was","finish_reason":"length","tokens":2,"score":null,"logprobs":\
[{"token":" there","token_id":0,"logprob":-0.25,"top":[{"token":" there","token_id":0,\
"logprob":-1.0}]},{"token":" was","token_id":1,"logprob":-0.25,"top":[{"token":" there",\
"token_id":0,"logprob":-1.0}]}]}],"postprocess":[],"usage":{"prompt_tokens":4,\
"completion_tokens":2,"total_tokens":6,"cached_tokens":0},"timings":{"queue_ms":1.0,"prompt_ms":10.0,\
"first_token_ms":21.0,"generation_ms":480.0,"tokens_per_second":4.0},"receipt":ID}

data: [DONE]

"""


def test_the_stream_is_this_to_the_letter(client: TestClient) -> None:
    response = client.post(
        "/generate",
        json={
            "prompt": PROMPT,
            "strategy": "greedy",
            "max_new_tokens": 2,
            "logprobs": 1,
            "stream": True,
        },
    )

    assert VARIES.sub("ID", response.text) == TRANSCRIPT
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("num_sequences", [1, 3, 8])
def test_the_streamed_texts_are_those_of_the_plain_answer(
    client: TestClient, num_sequences: int
) -> None:
    fields = {"max_new_tokens": 15, "num_return_sequences": num_sequences, "seed": 1}

    events = stream(client, **fields)
    plain = generate(client, **fields)

    texts = {i: sequence["text"] for i, sequence in enumerate(plain["sequences"])}
    assert texts_of(events) == texts == dict.fromkeys(range(num_sequences), fake_text(15))
    assert {e["index"]: e["text"] for e in events[:-1] if e["event"] == "finish"} == texts
    done = events[-2]
    assert done.pop("event") == "done"
    assert done.keys() == plain.keys()
    assert {**done, "id": plain["id"]} == plain
    assert events[-1] == DONE


def test_equal_requests_have_equal_receipts_and_others_do_not(client: TestClient) -> None:
    same = [generate(client, seed=5, top_p=0.5)["receipt"] for _ in range(2)]
    others = [
        generate(client, seed=6, top_p=0.5),
        generate(client, seed=5, top_p=0.6),
        generate(client, seed=5, top_p=0.5, stop="x"),
        generate(client, seed=5, top_p=0.5, max_new_tokens=9),
        generate(client, seed=5, top_p=0.5, prompt="Once upon a tide"),
        generate(client, seed=5, top_p=0.5, model="other"),
    ]

    assert same[0] == same[1]
    assert len({same[0], *(other["receipt"] for other in others)}) == 7


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("sampling", {"type": "nucleus_sampling", "temperature": 0.8, "top_p": 0.95}),
        ("top_k", {"type": "top_k_sampling", "temperature": 0.8, "top_k": 50}),
        ("greedy", {"type": "greedy"}),
        (
            "beam_search",
            {"type": "beam_search", "num_beams": 5, "length_penalty": 1.0},
        ),
    ],
)
def test_each_strategy_has_its_own_defaults(
    client: TestClient, strategy: str, parameters: dict[str, Any]
) -> None:
    answer = generate(client, strategy=strategy, max_new_tokens=2)

    assert answer["parameters"] == {**parameters, "max_new_tokens": 2}
    assert answer["strategy"] == strategy
    assert answer["unused_parameters"] == []


@pytest.mark.parametrize(
    ("fields", "unused"),
    [
        ({"strategy": "greedy", "temperature": 0.3, "top_k": 3}, ["temperature", "top_k"]),
        ({"strategy": "greedy", "num_return_sequences": 4, "seed": 1},
         ["num_return_sequences", "seed"]),
        ({"strategy": "beam_search", "top_p": 0.5}, ["top_p"]),
        ({"strategy": "sampling", "length_penalty": 1.0}, ["length_penalty"]),
        ({"temperature": 0, "top_p": 0.5, "top_k": 7}, ["top_k", "top_p"]),
        ({"max_length": 50, "max_new_tokens": 5}, ["max_length"]),
        ({"max_length": 50, "repetition_penalty": 1.2, "min_new_tokens": 1}, []),
        ({"top_p": None, "num_beams": None}, []),
    ],
)  # fmt: skip
def test_what_the_strategy_does_not_use_is_told(
    client: TestClient, fields: dict[str, Any], unused: list[str]
) -> None:
    assert generate(client, **fields)["unused_parameters"] == unused


def test_temperature_zero_is_reported_as_greedy(client: TestClient) -> None:
    answer = generate(client, temperature=0, max_new_tokens=2)

    assert answer["strategy"] == "sampling"
    assert answer["parameters"]["type"] == "greedy"
    assert answer["parameters"]["temperature"] == 0


def test_max_length_counts_the_prompt_and_max_new_tokens_wins(client: TestClient) -> None:
    assert generate(client, max_length=9)["usage"]["completion_tokens"] == 5
    assert generate(client, max_length=9, max_new_tokens=2)["usage"]["completion_tokens"] == 2
    assert generate(client)["usage"]["total_tokens"] == 100


def test_postprocessing_is_reported_step_by_step_and_leaves_the_sequences(
    client: TestClient,
) -> None:
    answer = generate(client, max_new_tokens=4, postprocess=["strip_prompt", "limit_words:2"])

    assert answer["generated_text"] == " there was"
    assert answer["sequences"][0]["text"] == " there was a miller"
    assert answer["postprocess"] == [
        {
            "step": "strip_prompt",
            "removed": 16,
            "before": "Once upon a time there was a miller",
            "after": " there was a miller",
        },
        {
            "step": "limit_words:2",
            "removed": 9,
            "before": " there was a miller",
            "after": " there was",
        },
    ]


def test_the_rendered_prompt_is_shown_and_the_generated_text_keeps_the_clients_own(
    client: TestClient,
) -> None:
    answer = generate(
        client,
        prompt="cold",
        system_prompt="Opposites.",
        examples=[{"input": "up", "output": "down"}],
        max_new_tokens=1,
    )

    assert answer["rendered_prompt"] == (
        "Opposites.\n\nInput: up\nOutput: down\n\nInput: cold\nOutput:"
    )
    assert answer["prompt"] == "cold"
    assert answer["generated_text"] == "cold there"


def test_beams_carry_their_score(client: TestClient) -> None:
    answer = generate(client, strategy="beam_search", num_return_sequences=2, max_new_tokens=2)

    assert [sequence["score"] for sequence in answer["sequences"]] == [-0.5, -0.5]


@pytest.mark.parametrize(
    "prompt", ["🦀 naïve ﷽", "e\u0301\u0302" * 50, "\u202eright to left", "\ufeffx"]
)
def test_any_unicode_comes_back_as_it_was(client: TestClient, prompt: str) -> None:
    answer = generate(client, prompt=prompt, max_new_tokens=1)

    assert answer["prompt"] == answer["rendered_prompt"] == prompt
    assert json.loads(json.dumps(answer)) == answer


def test_stop_may_be_a_string_or_a_list(client: TestClient) -> None:
    assert generate(client, stop="x", max_new_tokens=1)["sequences"]
    assert generate(client, stop=["x", "y"], max_new_tokens=1)["sequences"]


def test_an_alias_answers_under_the_models_id(client: TestClient) -> None:
    assert generate(client, model="second", max_new_tokens=1)["model"] == "other"


def test_contrasted_layers_have_a_name_of_their_own_at_any_temperature(client: TestClient) -> None:
    chosen = generate(client, strategy="dola", dola_layers=[2, 4], max_new_tokens=1)
    default = generate(client, strategy="dola", temperature=1, max_new_tokens=1)

    assert chosen["parameters"]["type"] == default["parameters"]["type"] == "dola"
    assert chosen["parameters"]["dola_layers"] == [2, 4]
    assert default["parameters"]["dola_layers"] == "high"
    assert chosen["parameters"]["temperature"] == 0


@pytest.mark.parametrize("strategy", ["controlled", "beam_search"])
def test_a_control_code_is_what_the_model_sees_first_and_no_part_of_the_text(
    client: TestClient, strategy: str
) -> None:
    answer = generate(client, strategy=strategy, control_code="Horror", max_new_tokens=1)

    assert answer["rendered_prompt"] == f"Horror {PROMPT}"
    assert (answer["prompt"], answer["generated_text"]) == (PROMPT, f"{PROMPT} there")
    assert answer["parameters"]["control_code"] == "Horror"
    assert answer["unused_parameters"] == []


@pytest.mark.parametrize("code", ["", "x" * 1001, "a\0b", 3])
def test_what_is_no_control_code_is_refused_by_name(client: TestClient, code: Any) -> None:
    response = client.post("/generate", json={"prompt": "x", "control_code": code})

    assert response.status_code == 422
    assert response.json()["error"]["param"] == "control_code"


@pytest.mark.parametrize("layers", ["middle", [], [-1], 3, ["high"], [0] * 33])
def test_what_names_no_layers_is_refused_by_name(client: TestClient, layers: Any) -> None:
    body = {"prompt": "x", "strategy": "dola", "dola_layers": layers}

    response = client.post("/generate", json=body)

    assert response.status_code == 422
    assert response.json()["error"]["param"] == "dola_layers"
    assert "Use" in response.json()["error"]["message"]
