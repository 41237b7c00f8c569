"""Log lines: one event, one line, with its request."""

import json
import logging

import pytest

from penstock.cli.logs import FORMAT, JsonFormatter, OneLineFormatter


def line(message: str, **extra: str) -> str:
    record = logging.LogRecord("penstock.engine", logging.INFO, "", 0, message, (), None)
    record.__dict__.update(extra)
    return OneLineFormatter(FORMAT).format(record)


def test_a_line_names_the_request_when_there_is_one() -> None:
    assert line("Cancelled.", request_id="gen_1").endswith(
        "INFO penstock.engine [gen_1] Cancelled."
    )
    assert line("Ready.").endswith("INFO penstock.engine Ready.")


def test_nothing_in_a_message_can_begin_another_line_or_colour_the_terminal() -> None:
    forged = line("model a\r\n2026-01-01 INFO penstock forged \x1b[31m\x85 loaded")

    assert "\n" not in forged
    assert forged.isprintable()
    assert "a\\x0d\\x0a2026" in forged


def test_a_traceback_keeps_its_lines() -> None:
    try:
        raise ValueError("cause")
    except ValueError as error:
        record = logging.LogRecord(
            "penstock",
            logging.ERROR,
            "",
            0,
            "Failed.",
            (),
            (ValueError, error, error.__traceback__),
        )

    first, *rest = OneLineFormatter(FORMAT).format(record).splitlines()

    assert first.endswith("Failed.")
    assert rest[0].startswith("Traceback") and rest[-1] == "ValueError: cause"


def as_json(message: str, **extra: object) -> dict[str, str]:
    record = logging.LogRecord("penstock.api", logging.WARNING, "", 0, message, (), None)
    record.__dict__.update(extra)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    event: dict[str, str] = json.loads(line)
    return event


@pytest.mark.parametrize("hostile", ["a\r\nb", "\x1b[31mred", '"}\n{"level":"critical"', "\u2028"])
def test_an_event_as_json_is_one_object_on_one_line_whatever_it_says(hostile: str) -> None:
    event = as_json(hostile, request_id=f"id-{hostile}")

    assert event["message"] == hostile
    assert event["request_id"] == f"id-{hostile}"
    assert event["level"] == "warning"


@pytest.mark.parametrize(
    ("secret", "rest"),
    [
        ("abcDEF123456.-_~", "Authorization: Bearer {}"),
        ("hf_abcdefghijklmnop", "the token {} was refused"),
        ("sk-proj-abcdefghij", "key {}, twice"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "token={}"),
        ("penstock:hunter2hunter2", "postgresql://{}@db.lan/penstock is down"),
    ],
)
def test_what_looks_like_a_secret_does_not_get_out(secret: str, rest: str) -> None:
    for told in (line(rest.format(secret)), as_json(rest.format(secret))["message"]):
        assert secret not in told
        assert "[redacted]" in told


def test_words_that_only_resemble_secrets_are_kept() -> None:
    said = "A bearer of news; hf_ and sk- alone; http://127.0.0.1:8000/livez; gpt2@main"

    assert said in line(said)
