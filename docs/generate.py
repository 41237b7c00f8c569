"""Writes docs/reference/ from the code, or with `--check` says which of it is stale.

Everything there has one home in the code: change that, then run `make fix`.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ["COLUMNS"] = "100"  # the width of help texts, read when typer is imported

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.main import get_command

from penstock import errors
from penstock.api.capabilities import ADDRESSES, DIALECTS, LASTING, treatments
from penstock.api.errors import status_of
from penstock.cli.exits import exit_code_for
from penstock.cli.main import app
from penstock.decoding.parameters import Parameter
from penstock.decoding.processors import FILTERS, PENALTIES
from penstock.decoding.strategies import STRATEGIES
from penstock.decoding.strategies.interface import Strategy
from penstock.settings import NESTING, PREFIX, Group, Settings

SHAPES = {
    "bool": "true, false",
    "strings": "up to 4 strings",
    "names": "names",
    "tokens": "token ids",
    "words": "texts or lists of token ids",
    "alternatives": "words, or lists of words of which one will do",
    "token_biases": "an object: token id to number, -100 to 100",
    "word_biases": "pairs: word, number",
    "layers": "low, high, or a list of numbers",
    "start_and_factor": "a pair: tokens, factor",
    "text": "a text",
    "prompt": "a text or a list of token ids",
    "texts": "texts",
    "json": "an object",
}
FOLDER = Path(__file__).parent / "reference"
RELIABILITY = Path(__file__).parent / "reliability.md"
FIGURES = Path(__file__).parent / "reliability.json"
NOTE = "<!-- Written by docs/generate.py. Change the code, then run: make fix -->"


def main(arguments: list[str]) -> int:
    """Write the pages, or only compare them."""
    pages = {FOLDER / f"{name}.md": text for name, text in build_pages().items()}
    pages[RELIABILITY] = build_reliability(json.loads(FIGURES.read_text()))
    stale = [path for path, text in pages.items() if not path.is_file() or path.read_text() != text]
    left_over = [path for path in FOLDER.glob("*.md") if path not in pages]
    if "--check" in arguments:
        for path in (*stale, *left_over):
            print(f"{path.relative_to(FOLDER.parents[1])} is stale. Run: make fix", file=sys.stderr)
        return 1 if stale or left_over else 0
    FOLDER.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(pages[path])
    for path in left_over:
        path.unlink()
    return 0


def build_pages() -> dict[str, str]:
    """Every page by its name."""
    return {
        "cli": _page("Command line", _command_sections()),
        "strategies": _page("Strategies and their parameters", _strategy_sections()),
        "settings": _page("Settings", _setting_sections()),
        "errors": _page("Errors", _error_sections()),
        "openai": _page("The OpenAI dialect, field by field", _dialect_sections("openai")),
        "ollama": _page("The Ollama dialect, field by field", _dialect_sections("ollama")),
        "anthropic": _page("The Anthropic dialect, field by field", _dialect_sections("anthropic")),
    }


def build_reliability(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """What the last full runs of the tests that break things measured."""
    sections = [
        "Written by `make stress`, which runs the tests that kill, starve and confuse the server, "
        "and those that compare what it writes with a standard, at their full counts; a tenth of "
        "that is part of `make test`. A run whose figures are not as they must be fails. Nothing "
        "here is written by hand."
    ]
    for test, cases in figures.items():
        sections.append(f"## {test[0].upper()}{test[1:]}")
        sections += _together(cases) if _are_alike(cases) else map(_case, cases, cases.values())
    return _page("Reliability, measured", sections)


def _case(name: str, case: Mapping[str, Any]) -> str:
    rows = [[figure, str(value)] for figure, value in case["figures"].items()]
    return f"**{name}** ({_occasion(case)})\n\n{_table(['', ''], rows)}"


MANY = 3  # from so many on, cases are lines of one table


def _are_alike(cases: Mapping[str, Any]) -> bool:
    occasions = {(_occasion(case), *case["figures"]) for case in cases.values()}
    return len(cases) >= MANY and len(occasions) == 1


def _together(cases: Mapping[str, Any]) -> Iterator[str]:
    """Many cases that tell the same figures of the same day, one a line."""
    first = next(iter(cases.values()))
    rows = [[name, *map(str, case["figures"].values())] for name, case in cases.items()]
    yield f"{_occasion(first)}\n\n{_table(['', *first['figures']], rows)}"


def _occasion(case: Mapping[str, Any]) -> str:
    return f"{case['date']}, {case['machine']}"


def _page(title: str, sections: Iterable[str]) -> str:
    return "\n\n".join([f"# {title}", NOTE, *sections]) + "\n"


def _table(headings: list[str], rows: Iterable[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _command_sections() -> Iterator[str]:
    yield "Results go to stdout, news to stderr. `NO_COLOR` is respected."
    for context in _contexts(get_command(app), "penstock", None):
        yield f"## `{context.command_path}`\n\n```\n{context.get_help().strip()}\n```"


def _contexts(command: Any, name: str, parent: Any) -> Iterator[Any]:
    """A command and those below it, each as if it had been called without arguments."""
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield context
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield from _contexts(inner, inner_name, context)


def _strategy_sections() -> Iterator[str]:
    yield (
        "`GET /strategies` returns the same. A parameter at its neutral value does nothing; one "
        "that a strategy does not use is listed in the response's `unused_parameters`."
    )
    yield _order_section()
    for strategy in STRATEGIES.values():
        yield f"## {strategy.label} (`{strategy.id}`)\n\n{strategy.description}"
        yield "\n".join(_preset_lines(strategy))
        yield _parameter_table(strategy)


def _preset_lines(strategy: type[Strategy]) -> Iterator[str]:
    yield "Presets:\n"
    for preset in strategy.presets:
        values = ", ".join(f"`{name}={json.dumps(v)}`" for name, v in preset.values.items())
        yield f"- **{preset.label}** (`{preset.id}`). {preset.description} {values}"


def _order_section() -> str:
    always = ", ".join(f"`{processor.name}`" for processor in PENALTIES)
    drawn = ", ".join(f"`{processor.name}`" for processor in FILTERS)
    return (
        "## The order of the steps\n\n"
        "Between the model's scores and the choice of a token, the parameters in use work one "
        f"after the other. With every strategy: {always}. Then, for tokens that are drawn: "
        f"{drawn}.\n\n"
        "`processor_order` names steps that shall run in another order: they take each other's "
        "places, and all that are not named keep theirs."
    )


def _parameter_table(strategy: type[Strategy]) -> str:
    rows = (
        [
            f"`{p.name}`",
            _range(p),
            _value(p.default),
            _value(p.neutral),
            f"{p.description} {p.effect}",
        ]
        for p in strategy.parameters
    )
    return _table(["parameter", "range", "default", "neutral", "what it does"], rows)


def _range(parameter: Parameter) -> str:
    if parameter.minimum is None or parameter.maximum is None:
        return SHAPES.get(parameter.kind, "")
    return f"{_value(parameter.minimum)} to {_value(parameter.maximum)}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(f"`{entry!r}`" for entry in value)
    return "" if value is None else str(value)


def _dialect_sections(dialect: str) -> Iterator[str]:
    yield (
        "What each route does with each field of a request. Nothing is ignored in silence: a field "
        "is **honoured**; or it is **harmless**, because it asks for nothing that could be done "
        "differently here; or it is **refused** with a 400 that names it, unless it is sent at a "
        "value that asks for nothing. A field that is not in the table is refused too; a field "
        "inside another is named with it, `stream_options.include_usage`. "
        "`GET /v1/capabilities` tells programs the same."
    )
    others = (*LASTING, *ADDRESSES) if dialect == "openai" else ()
    for route in (*DIALECTS[dialect], *others):
        yield f"## `{route if route in others[len(LASTING) :] else f'POST {route}'}`"
        rows = (
            [f"`{t.name}`", t.treatment, _accepted(t.accepted), t.note] for t in treatments(route)
        )
        yield _table(["field", "what is done", "taken when it is", "note"], rows)


def _accepted(values: Iterable[Any]) -> str:
    return ", ".join(f"`{json.dumps(value)}`" for value in values)


def _setting_sections() -> Iterator[str]:
    yield (
        "Precedence: flag, environment, `.env`, config file, default. `penstock config show` "
        "prints every value and where it came from. In the config file, `limits.max_in_flight` is "
        "`max_in_flight` in the table `[limits]`."
    )
    headings = ["setting", "variables", "default", "what it is"]
    yield _table(headings, _setting_rows(Settings, "", PREFIX))


def _setting_rows(model: type[BaseModel], path: str, prefix: str) -> Iterator[list[str]]:
    for name, field in model.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, Group):
            yield from _setting_rows(group, f"{name}.", f"{prefix}{name.upper()}{NESTING}")
        else:
            names = getattr(field.validation_alias, "choices", [prefix + name.upper()])
            variables = ", ".join(f"`{variable}`" for variable in names)
            yield [f"`{path}{name}`", variables, _default(field), field.description or ""]


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "depends on the machine"
    if isinstance(field.default, tuple):
        return ", ".join(field.default)
    return _value(field.default)


def _error_sections() -> Iterator[str]:
    yield (
        'Every route answers a problem with `{"error": {"message", "type", "param", "code"}}`; the '
        "message says what is wrong and what to do next. Commands print it in one line and exit "
        "with the status given here."
    )
    rows = (
        [f"`{e.code}`", str(status_of(e)), str(int(exit_code_for(e))), e.__doc__ or ""]
        for e in _errors()
    )
    yield _table(["code", "HTTP status", "exit status", "meaning"], rows)


def _errors() -> list[errors.PenstockError]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind("", "") for kind in kinds if kind is not errors.PenstockError]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
