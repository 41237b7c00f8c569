"""Log lines: one event, one line, with its request."""

import logging

from penstock.cli.logs import FORMAT, OneLineFormatter


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
