"""`response_format` and `tools` on the wire, and the form of the answer that they ask for. Pure."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import Discriminator, Field, Tag

from penstock.api.openai.fields import Harmless, Rule
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import BRANCH, Text
from penstock.decoding.parameters.form import FORM
from penstock.errors import InvalidParameter
from penstock.text.tool_calls import CallForm, Tool, calls_grammar

MAX_TOOLS = 128
FORM_NAMES = frozenset(parameter.name for parameter in FORM)
FunctionName = Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,64}$")]
AnySchema = dict[str, Any]


class SchemaFormat(Strict):
    """A JSON schema with a name, as OpenAI wraps it."""

    name: FunctionName = Field(description="A label.")
    description: Text | None = Field(None, description="A label.")
    wire_schema: AnySchema | None = Field(
        None, alias="schema", description="The JSON schema; left out, any object."
    )
    strict: bool | None = Field(None, description="The schema is always followed.")


SCHEMA_RULES: Sequence[Rule] = (
    Harmless(name="name", wire=str, why="A label."),
    Harmless(name="description", wire=str, why="A label."),
    Harmless(name="strict", wire=bool, why="A schema is always followed."),
)


class ResponseFormat(Strict):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"] = Field(description="Which.")
    json_schema: SchemaFormat | None = Field(None, description="With type `json_schema`.")


class FunctionBody(Strict):
    """A function that the model may call."""

    name: FunctionName = Field(description="Its name.")
    description: Text | None = Field(None, description="What it does, for the model.")
    parameters: AnySchema | None = Field(None, description="A JSON schema of its arguments.")
    strict: bool | None = Field(
        None, description="Refuse a schema with keywords that cannot be followed, not ignore them."
    )


class ToolBody(Strict):
    """A tool; all are functions."""

    type: Literal["function"] = Field(description="A function.")
    function: FunctionBody = Field(description="The function.")
    custom: None = Field(None, description="Models here call functions only.")


class FunctionChoice(Strict):
    """A function by its name."""

    name: FunctionName = Field(description="Its name.")


class NamedChoice(Strict):
    """The one function that is to be called."""

    type: Literal["function"] = Field(description="A function.")
    function: FunctionChoice = Field(description="Which.")
    custom: None = Field(None, description="Models here call functions only.")
    allowed_tools: None = Field(None, description="Send only the tools that may be called.")


def _branch(value: Any) -> str:
    return f"{BRANCH}named" if isinstance(value, dict | NamedChoice) else f"{BRANCH}word"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(f"{BRANCH}word")]
    | Annotated[NamedChoice, Tag(f"{BRANCH}named")],
    Discriminator(_branch),
]


class WithFormat(Protocol):
    """A request with a `response_format`; the catalog's parameters are beside it."""

    @property
    def response_format(self) -> ResponseFormat | None: ...


def form_of(body: WithFormat) -> dict[str, Any]:
    """The answer's form as values of the catalog's parameters."""
    form = form_in(body.response_format)
    if form:
        refuse_two_forms(body, "response_format")
    return form


def form_in(response_format: ResponseFormat | None) -> dict[str, Any]:
    """The same of a form alone, whichever field of a client's it came in."""
    schema = schema_of(response_format)
    if schema is not None:
        return {"json_schema": json.dumps(schema, ensure_ascii=False)}
    is_object = response_format is not None and response_format.type == "json_object"
    return {"json_object": True} if is_object else {}


def schema_of(response_format: ResponseFormat | None) -> AnySchema | None:
    """The schema that is asked for, or `None`. Raises `InvalidParameter` for half of one."""
    if response_format is None:
        return None
    wrapped = response_format.json_schema
    if (response_format.type == "json_schema") != (wrapped is not None):
        raise InvalidParameter(
            "response_format has the type json_schema or a json_schema, and not both."
            if wrapped is None
            else f"response_format has a json_schema and the type {response_format.type}.",
            'Send {"type": "json_schema", "json_schema": {"name": ..., "schema": ...}}.',
            param="response_format",
        )
    if wrapped is None:
        return None
    return {"type": "object"} if wrapped.wire_schema is None else wrapped.wire_schema


def refuse_two_forms(body: object, name: str) -> None:
    """A parameter of the catalog that says the form, beside an OpenAI field that does."""
    both = [each for each in sorted(FORM_NAMES) if getattr(body, each, None)]
    if both:
        raise InvalidParameter(
            f"{both[0]} and {name} each say what form the text has.",
            "Send one of them.",
            param=both[0],
        )


def tools_of(tools: Sequence[ToolBody] | None, choice: ToolChoice | None) -> tuple[Tool, ...]:
    """The tools that the model is told of; none where it may call none."""
    if not tools:
        if choice is not None and choice not in ("none", "auto"):
            raise InvalidParameter(
                "tool_choice asks for a call and there are no tools.",
                "Send tools, or leave tool_choice out.",
                param="tool_choice",
            )
        return ()
    names = [tool.function.name for tool in tools]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise InvalidParameter(
            f"tools holds {twice} twice.", "Give each function its own name.", param="tools"
        )
    if isinstance(choice, NamedChoice) and choice.function.name not in names:
        raise InvalidParameter(
            f"tool_choice names {choice.function.name}, which is not among the tools.",
            f"Use one of {', '.join(names)}.",
            param="tool_choice",
        )
    return () if choice == "none" else tuple(map(_tool, tools))


def grammar_of_calls(
    tools: Sequence[Tool],
    choice: ToolChoice | None,
    *,
    several: bool,
    response_format: ResponseFormat | None,
) -> str:
    """The grammar of an answer to a request with tools."""
    if isinstance(choice, NamedChoice):
        tools = [tool for tool in tools if tool.name == choice.function.name]
        return calls_grammar(tools, CallForm(must_call=True, several=False))
    answer = schema_of(response_format)
    if answer is None and response_format is not None and response_format.type == "json_object":
        answer = {"type": "object"}
    return calls_grammar(
        tools, CallForm(must_call=choice == "required", several=several, answer=answer)
    )


def _tool(body: ToolBody) -> Tool:
    function = body.function
    parameters = {"type": "object", "properties": {}, **(function.parameters or {})}
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=json.dumps(parameters, ensure_ascii=False),
        is_strict=bool(function.strict),
    )
