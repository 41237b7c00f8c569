"""`POST /compare` and `POST /generate-text/`: several at once, each failing alone."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.conftest import connected
from tests.api.reading import DONE, events_of
from tests.fakes import FakeModels, fake_text

COLUMNS = [
    {"strategy": "greedy", "max_new_tokens": 3},
    {"model": "other"},
    {"model": "elsewhere"},
    {"strategy": "nope"},
]
MODEL_ERROR = {
    "message": "The files of elsewhere are not on this machine. "
    "Fetch them with `penstock models pull elsewhere`.",
    "type": "invalid_request_error",
    "param": "model",
    "code": "model_unavailable",
}


def ask(**more: Any) -> dict[str, Any]:
    return {"prompt": "Once upon", "max_new_tokens": 5, "columns": COLUMNS, **more}


def test_each_column_is_a_whole_answer_or_its_own_error(client: TestClient) -> None:
    answer = client.post("/compare", json=ask()).json()

    first, second, third, fourth = answer["columns"]
    assert answer["prompt"] == "Once upon"
    assert (first["strategy"], first["sequences"][0]["text"]) == ("greedy", fake_text(3))
    assert (second["model"], second["sequences"][0]["text"]) == ("other", fake_text(5))
    assert third == {"error": MODEL_ERROR}
    assert fourth["error"]["param"] == "strategy"
    alone = client.post(
        "/generate", json={"prompt": "Once upon", "max_new_tokens": 5, "model": "other"}
    ).json()
    assert {**second, "id": ""} == {**alone, "id": ""}


def test_the_stream_names_each_events_column_and_ends_once(client: TestClient) -> None:
    events = events_of(client.post("/compare", json=ask(stream=True)).text)

    assert events.pop() == DONE
    columns = {n: [e for e in events if e["column"] == n] for n in range(4)}
    assert [e["event"] for e in columns[0]] == [
        "start",
        "token",
        "token",
        "token",
        "finish",
        "done",
    ]
    assert columns[1][-1]["sequences"][0]["text"] == fake_text(5)
    assert columns[2] == [{"event": "error", "column": 2, "error": MODEL_ERROR}]
    assert [e["event"] for e in columns[3]] == ["error"]


def test_streamed_columns_hold_the_plain_answers(client: TestClient) -> None:
    plain = client.post("/compare", json=ask()).json()["columns"]
    events = events_of(client.post("/compare", json=ask(stream=True)).text)[:-1]

    for number in (0, 1):
        (done,) = [e for e in events if e["column"] == number and e["event"] == "done"]
        assert {**done, "id": ""} == {
            **plain[number], "id": "", "event": "done", "column": number
        }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "param", "message"),
    [
        ([], "columns", "columns is empty. Give one."),
        ([{}] * 9, "columns", "columns has 9 entries. Use at most 8."),
        ([{}, {"top_p": 2}], "columns.1.top_p", "columns.1.top_p=2 is out of range. Use 0 to 1."),
        ([{"seeed": 1}], "columns.0.seeed",
         "columns.0.seeed is not a field of this request. Remove it, or see /docs for the fields."),
        ([3], "columns.0", "columns.0=3 is of the wrong type. Use an object."),
    ],
)  # fmt: skip
def test_a_malformed_column_is_refused_by_its_place(
    client: TestClient, columns: list[Any], param: str, message: str
) -> None:
    response = client.post("/compare", json=ask(columns=columns))

    error = response.json()["error"]
    assert (response.status_code, error["param"], error["message"]) == (422, param, message)


@pytest.mark.parametrize("stream", [False, True])
def test_columns_are_admitted_together_or_not_at_all(stream: bool) -> None:
    models = FakeModels()
    settings = Settings.model_validate({"limits": {"max_in_flight": 3}})
    with connected(models, settings) as client:
        refused = client.post("/compare", json=ask(columns=[{}] * 4, stream=stream))
        admitted = client.post("/compare", json=ask(columns=[{}] * 3, stream=stream))
        again = client.post("/compare", json=ask(columns=[{}] * 3, stream=stream))

    assert refused.status_code == 422
    assert admitted.status_code == again.status_code == 200


def test_generate_text_answers_for_several_models(client: TestClient) -> None:
    for path in ("/generate-text/", "/generate-text"):
        response = client.post(
            path,
            json={"prompt": "Once upon a time", "max_length": 7, "models": ["other", "second"]},
        )

        text = "Once upon a time there was a"
        assert response.json() == {
            "generated_texts": {"other": [text], "second": [text]},
            "errors": {},
        }


def test_a_failing_model_never_hides_the_others(client: TestClient) -> None:
    models = ["penstock-tiny", "broken", "nope"]
    response = client.post(
        "/generate-text/",
        json={"prompt": "x", "max_length": 3, "num_return_sequences": 2, "models": models},
    )

    assert response.status_code == 200
    assert response.json() == {
        "generated_texts": {"penstock-tiny": ["x there was", "x there was"]},
        "errors": {
            "broken": "The weights are a pickle. Convert them.",
            "nope": "There is no model 'nope'. Use penstock-tiny.",
        },
    }


def test_generate_text_asks_the_configured_models_when_none_are_named() -> None:
    settings = Settings(cache_mib=0, comparison_models=("other", "penstock-tiny"))
    with connected(FakeModels(), settings) as client:
        texts = client.post("/generate-text/", json={"prompt": "x"}).json()["generated_texts"]
    with connected(FakeModels()) as client:
        loaded = client.post("/generate-text/", json={"prompt": "x"}).json()["generated_texts"]

    assert list(texts) == ["other", "penstock-tiny"]
    assert list(loaded) == ["penstock-tiny"]
