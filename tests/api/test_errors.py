"""Every kind of bad input, and word for word what its sender is told."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.decoding.strategies import STRATEGIES
from tests.api.conftest import connected
from tests.fakes import FakeModels

JSON = {"content-type": "application/json"}


@pytest.fixture
def client(shared_client: TestClient) -> TestClient:
    return shared_client


def field(name: str, value: str) -> str:
    return f'{{"prompt": "x", "{name}": {value}}}'


RANGES = [
    ("temperature", "2.1", "temperature=2.1 is out of range. Use 0 to 2."),
    ("temperature", "-0.1", "temperature=-0.1 is out of range. Use 0 to 2."),
    ("temperature", "1e308", "temperature=1e+308 is out of range. Use 0 to 2."),
    ("temperature", "1e999", "temperature=1e999 is no number or too large. Use a finite number."),
    ("temperature", "NaN", "temperature=NaN is no number or too large. Use a finite number."),
    (
        "temperature",
        "-Infinity",
        "temperature=-Infinity is no number or too large. Use a finite number.",
    ),
    (
        "seed",
        "9" * 5000,
        "seed=99999999999999999999… is no number or too large. Use a finite number.",
    ),
    ("temperature", '"1"', "temperature='1' is of the wrong type. Use a number."),
    ("temperature", "true", "temperature=true is of the wrong type. Use a number."),
    ("temperature", "[1]", "temperature=[1] is of the wrong type. Use a number."),
    ("top_p", "1.01", "top_p=1.01 is out of range. Use 0 to 1."),
    ("top_p", "-1", "top_p=-1 is out of range. Use 0 to 1."),
    ("top_k", "-1", "top_k=-1 is out of range. Use 0 to 1000000."),
    ("top_k", "1.5", "top_k=1.5 is of the wrong type. Use a whole number."),
    ("top_k", '"50"', "top_k='50' is of the wrong type. Use a whole number."),
    ("top_k", "false", "top_k=false is of the wrong type. Use a whole number."),
    ("num_beams", "0", "num_beams=0 is out of range. Use 1 to 10."),
    ("num_beams", "11", "num_beams=11 is out of range. Use 1 to 10."),
    ("length_penalty", "1e9", "length_penalty=1000000000.0 is out of range. Use -10 to 10."),
    ("early_stopping", "1", "early_stopping=1 is of the wrong type. Use true or false."),
    ("repetition_penalty", "0", "repetition_penalty=0 is out of range. Use 0.01 to 10."),
    ("no_repeat_ngram_size", "-1", "no_repeat_ngram_size=-1 is out of range. Use 0 to 1000."),
    ("num_return_sequences", "0", "num_return_sequences=0 is out of range. Use 1 to 8."),
    ("num_return_sequences", "9", "num_return_sequences=9 is out of range. Use 1 to 8."),
    ("logit_bias", '{"5": 101}', "logit_bias=101.0 is out of range. Use -100.0 to 100.0."),
    ("logit_bias", "[5]", "logit_bias=[5] is of the wrong type. Use an object."),
    ("mirostat", "3", "mirostat=3 is out of range. Use 0 to 2."),
    ("exponential_decay_length_penalty", "[5, 0.5]",
     "exponential_decay_length_penalty=0.5 is out of range. Use 1 to 10."),
    ("max_length", "0", "max_length=0 is out of range. Use 1 to 1000000."),
    ("max_new_tokens", "0", "max_new_tokens=0 is out of range. Use 1 to 1000000."),
    ("max_new_tokens", "2.0", "max_new_tokens=2.0 is of the wrong type. Use a whole number."),
    ("min_new_tokens", "-1", "min_new_tokens=-1 is out of range. Use 0 to 1000000."),
    ("seed", "-1", "seed=-1 is out of range. Use 0 to 9223372036854775807."),
    ("seed", "9223372036854775808",
     "seed=9223372036854775808 is out of range. Use 0 to 9223372036854775807."),
    ("logprobs", "101", "logprobs=101 is out of range. Use 0 to 100."),
    ("logprobs", "true", "logprobs=true is of the wrong type. Use a whole number."),
    ("stream", '"yes"', "stream='yes' is of the wrong type. Use true or false."),
    ("stream", "null", "stream=null is of the wrong type. Use true or false."),
    ("stop", '["a", "b", "c", "d", "e"]', "stop has 5 entries. Use at most 4."),
    ("stop", "7", "stop=7 is of the wrong type. Use a list."),
    ("system_prompt", "[]", "system_prompt=[] is of the wrong type. Use a string."),
    ("system_prompt", r'"a\u0000b"', "system_prompt holds a NUL character (U+0000). Remove it."),
    ("examples", '"x"', "examples='x' is of the wrong type. Use a list."),
    ("model", '""', "model is empty. Give at least one character."),
    ("strategy", '"nope"',
     f"strategy='nope' does not exist. Use one of {', '.join(STRATEGIES)}."),
    ("postprocess", '["shout"]',
     "postprocess='shout' is not a step. Use strip_prompt, drop_repeated_lines, limit_words:N; "
     "N is a whole number from 1 on."),
    ("temprature", "1",
     "temprature is not a field of this request. Remove it, or see /docs for the fields."),
    ("hide", "1", "hide is not a field of this request. Remove it, or see /docs for the fields."),
]  # fmt: skip

BODIES = [
    ('{"prompt": ""}', "prompt", "prompt is empty. Give at least one character."),
    ('{"prompt": null}', "prompt", "prompt=null is of the wrong type. Use a string."),
    ('{"prompt": 5}', "prompt", "prompt=5 is of the wrong type. Use a string."),
    ('{"prompt": ["a"]}', "prompt", "prompt=['a'] is of the wrong type. Use a string."),
    ("{}", "prompt", "prompt is missing. Send it."),
    (r'{"prompt": "a\u0000"}', "prompt", "prompt holds a NUL character (U+0000). Remove it."),
    (r'{"prompt": "\ud800"}', "prompt", "prompt holds half a surrogate pair. Send valid Unicode."),
    (field("stop", '[""]'), "stop.0", "stop.0 is empty. Give at least one character."),
    (field("examples", '[{"input": "a"}]'), "examples.0.output",
     "examples.0.output is missing. Send it."),
    ("[]", None, "The body=[] is of the wrong type. Use an object."),
    ("null", None, "The body=null is of the wrong type. Use an object."),
    ("", None, "The body is missing. Send it."),
    ('"text"', None, "The body='text' is of the wrong type. Use an object."),
]  # fmt: skip

MALFORMED = [
    (b'{"prompt" "x"}', "Expecting ':' delimiter at line 1, column 11."),
    (b'{"prompt": "x"', "Expecting ',' delimiter at line 1, column 15."),
    (b'{"prompt":\n tru}', "Expecting value at line 2, column 2."),
    (b'{"prompt": "x"} {}', "Extra data at line 1, column 17."),
    (b'{"prompt": "a\nb"}', "Invalid control character at at line 1, column 14."),
    (b"\x1f\x8b\x08\x00", "The body is not UTF-8: byte 1."),
    (b'{"prompt": "\xff"}', "The body is not UTF-8: byte 12."),
    (b"[" * 65 + b"]" * 65, "The body is nested deeper than 64 levels."),
    (b'{"a":' * 100_000, "a is nested deeper than 64 levels."),
    (b'{"b": [1], "a": ' + b"[" * 100_000, "a is nested deeper than 64 levels."),
]


def error_of(response: Any) -> dict[str, Any]:
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize(("name", "value", "message"), RANGES)
def test_a_bad_field_is_refused_by_name_value_and_range(
    client: TestClient, name: str, value: str, message: str
) -> None:
    response = client.post("/generate", content=field(name, value), headers=JSON)

    assert response.status_code == 422
    assert error_of(response) == {
        "message": message,
        "type": "invalid_request_error",
        "param": name,
        "code": "invalid_parameter",
    }


@pytest.mark.parametrize(("body", "param", "message"), BODIES)
def test_a_bad_body_is_refused_in_words(
    client: TestClient, body: str, param: str | None, message: str
) -> None:
    response = client.post("/generate", content=body, headers=JSON)

    error = error_of(response)
    assert (response.status_code, error["message"], error["param"]) == (422, message, param)


@pytest.mark.parametrize(("body", "message"), MALFORMED)
def test_malformed_json_is_refused_with_its_position(
    client: TestClient, body: bytes, message: str
) -> None:
    response = client.post("/generate", content=body, headers=JSON)

    assert response.status_code == 400
    assert error_of(response)["message"].removeprefix("The body is not valid JSON: ") == message
    names_field = message.startswith("a is")
    expected = "invalid_parameter" if names_field else "bad_request"
    assert error_of(response)["code"] == expected
    assert error_of(response)["param"] == ("a" if names_field else None)


def test_deep_brackets_within_a_string_are_text(client: TestClient) -> None:
    body = {"prompt": '[{"\\"[[' * 40, "max_new_tokens": 1}

    assert client.post("/generate", json=body).status_code == 200


@pytest.mark.parametrize("sent", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_that_is_not_said_to_be_json_is_refused(
    client: TestClient, sent: str | None
) -> None:
    headers = {"content-type": sent} if sent else {}
    response = client.post("/generate", content=b'{"prompt": "x"}', headers=headers)

    assert response.status_code == 415
    assert error_of(response)["code"] == "unsupported_media_type"
    assert "Send Content-Type: application/json." in error_of(response)["message"]


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    response = client.post(
        "/generate", content=b"\x1f\x8b", headers={**JSON, "content-encoding": "gzip"}
    )

    assert response.status_code == 415
    assert error_of(response)["message"] == "The body is compressed. Send it as it is."


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nope", 404, "There is nothing at GET /nope. See /docs for what there is."),
        ("GET", "/v1/{x}", 404, "There is nothing at GET /v1/{x}. See /docs for what there is."),
        ("POST", "/nope", 404, "There is nothing at POST /nope. See /docs for what there is."),
        ("GET", "/generate", 405,
         "/generate does not answer to GET. See /docs for what it answers to."),
        ("DELETE", "/models", 405,
         "/models does not answer to DELETE. See /docs for what it answers to."),
        ("POST", "/", 405, "/ does not answer to POST. See /docs for what it answers to."),
    ],
)  # fmt: skip
def test_routes_that_are_not_there_answer_with_the_error_object(
    client: TestClient, method: str, path: str, status: int, message: str
) -> None:
    response = client.request(method, path)

    assert response.status_code == status
    assert error_of(response)["message"] == message


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        ({"model": "nope"}, 404, "model_not_found", "There is no model 'nope'. Use penstock-tiny."),
        ({"model": "elsewhere"}, 404, "model_unavailable",
         "The files of elsewhere are not on this machine. "
         "Fetch them with `penstock models pull elsewhere`."),
        ({"model": "broken"}, 400, "unsupported_model", "The weights are a pickle. Convert them."),
        ({"prompt": "x " * 600}, 400, "context_length_exceeded",
         "600 prompt tokens and 100 in all do not fit 512. Shorten the prompt."),
        ({"max_new_tokens": 512}, 400, "context_length_exceeded",
         "1 prompt tokens and 513 in all do not fit 512. Shorten the prompt."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [False, True])
def test_what_fails_before_the_first_byte_is_an_ordinary_error(
    client: TestClient, fields: dict[str, Any], status: int, code: str, message: str, streamed: bool
) -> None:
    response = client.post("/generate", json={"prompt": "x", **fields, "stream": streamed})

    assert response.status_code == status
    assert (error_of(response)["code"], error_of(response)["message"]) == (code, message)


@pytest.mark.parametrize("name", ["<script>" * 1000, r"\ud800", r"a\u0000b", "\u202e" * 300])
def test_hostile_field_names_come_back_cut_and_as_text(client: TestClient, name: str) -> None:
    response = client.post("/generate", content=f'{{"prompt": "x", "{name}": 1}}', headers=JSON)

    assert response.status_code == 422
    assert len(error_of(response)["message"]) < 300
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_every_bad_input_leaves_the_server_well() -> None:
    models = FakeModels()
    with connected(models) as client:
        for name, value, _ in RANGES:
            client.post("/generate", content=field(name, value), headers=JSON)
        for body, _ in MALFORMED:
            client.post("/generate", content=body, headers=JSON)

        answer = client.post("/generate", json={"prompt": "x", "max_new_tokens": 1})

        assert answer.json()["generated_text"] == "x there"
        assert models.kits["penstock-tiny"].engine.num_steps == 1


def test_a_failed_step_is_a_500_and_the_next_request_is_served(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    failed = client.post("/generate", json={"prompt": "EXPLODE"})
    streamed = client.post("/generate", json={"prompt": "EXPLODE", "stream": True})
    after = client.post("/generate", json={"prompt": "x", "max_new_tokens": 1})

    message = "The engine failed on this request. Send it again."
    assert failed.status_code == 500
    assert error_of(failed) == {
        "message": message,
        "type": "server_error",
        "param": None,
        "code": "engine_failed",
    }
    assert json.loads(streamed.text.removeprefix("data: "))["error"]["message"] == message
    assert "[DONE]" not in streamed.text
    assert after.status_code == 200
    assert "ArithmeticError" in caplog.text
