"""`text` and `tools` of `/v1/responses`, and what they are in the words of chats. Pure."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import Discriminator, Field, Tag

from penstock.api.openai.fields import Refused, Rule
from penstock.api.openai.formats import (
    AnySchema,
    FunctionBody,
    FunctionChoice,
    FunctionName,
    NamedChoice,
    ResponseFormat,
    SchemaFormat,
    ToolBody,
    ToolChoice,
    form_in,
    grammar_of_calls,
    refuse_two_forms,
    tools_of,
)
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import BRANCH, Text
from penstock.errors import InvalidParameter
from penstock.text.tool_calls import Tool

MODEL_CALLS = "Only the model calls functions here."
ONE_OR_ALL = "Send only the tools that may be called."


class TextFormat(Strict):
    """The form of a text."""

    type: Literal["text", "json_object", "json_schema"] = Field(description="Which.")
    name: FunctionName | None = Field(None, description="A label, with type `json_schema`.")
    description: Text | None = Field(None, description="A label.")
    wire_schema: AnySchema | None = Field(
        None, alias="schema", description="The JSON schema, with type `json_schema`."
    )
    strict: bool | None = Field(None, description="The schema is always followed.")


class TextConfig(Strict):
    """How the text is to be."""

    format: TextFormat | None = Field(
        None, description="The form of the text, which is always followed."
    )
    verbosity: Literal["medium"] | None = Field(
        None, description="No model here has such a setting."
    )


TEXT_RULES: Sequence[Rule] = (
    Refused(name="verbosity", neutral=("medium",), why="No model here has such a setting."),
)


class ResponseToolBody(Strict):
    """A function that the model may call."""

    type: Literal["function"] = Field(description="A function.")
    name: FunctionName = Field(description="Its name.")
    description: Text | None = Field(None, description="What it does, for the model.")
    parameters: AnySchema | None = Field(None, description="A JSON schema of its arguments.")
    strict: bool | None = Field(
        None, description="Refuse a schema with keywords that cannot be followed, not ignore them."
    )
    defer_loading: Literal[False] | None = Field(None, description="Tools are told of at once.")
    output_schema: None = Field(None, description="Answers of functions are texts.")
    allowed_callers: None = Field(None, description=MODEL_CALLS)


class ResponseNamedChoice(Strict):
    """The one function that is to be called."""

    type: Literal["function"] = Field(description="A function.")
    name: FunctionName = Field(description="Which.")
    mode: None = Field(None, description=ONE_OR_ALL)
    tools: None = Field(None, description=ONE_OR_ALL)


def _branch(value: Any) -> str:
    return f"{BRANCH}named" if isinstance(value, dict | ResponseNamedChoice) else f"{BRANCH}word"


ResponseToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(f"{BRANCH}word")]
    | Annotated[ResponseNamedChoice, Tag(f"{BRANCH}named")],
    Discriminator(_branch),
]


class WithForms(Protocol):
    """A request whose answer may be bound to a form."""

    @property
    def text(self) -> TextConfig | None: ...
    @property
    def tools(self) -> list[ResponseToolBody] | None: ...
    @property
    def tool_choice(self) -> ResponseToolChoice | None: ...
    @property
    def parallel_tool_calls(self) -> bool | None: ...


def called_tools(body: WithForms) -> tuple[Tool, ...]:
    """The tools that the model is told of."""
    tools = [ToolBody(type="function", function=_function(tool)) for tool in body.tools or ()]
    return tools_of(tools, _choice(body.tool_choice))


def form_of(body: WithForms) -> dict[str, Any]:
    """What the answer is bound to: calls of the tools, or the form that was asked for."""
    tools, response_format = called_tools(body), _response_format(body)
    if not tools:
        form = form_in(response_format)
        if form:
            refuse_two_forms(body, "text")
        return form
    refuse_two_forms(body, "tools")
    grammar = grammar_of_calls(
        tools,
        _choice(body.tool_choice),
        several=body.parallel_tool_calls is not False,
        response_format=response_format,
    )
    return {"grammar": grammar}


def form_field(body: WithForms) -> str | None:
    """The client's field that says the form, where it is no parameter of the catalog."""
    if called_tools(body):
        return "tools"
    return "text" if form_in(_response_format(body)) else None


def told(body: WithForms) -> dict[str, Any]:
    """What a response says of what was asked for."""
    wanted = None if body.text is None else body.text.format
    form = {"type": "text"} if wanted is None else _sent(wanted)
    choice = "auto" if body.tool_choice is None else body.tool_choice
    return {
        "text": {"format": form},
        "tools": [{"parameters": None, "strict": None, **_sent(t)} for t in body.tools or ()],
        "tool_choice": choice if isinstance(choice, str) else _sent(choice),
        "parallel_tool_calls": body.parallel_tool_calls is not False,
    }


def _sent(value: Strict) -> dict[str, Any]:
    return value.model_dump(by_alias=True, exclude_unset=True)


def _function(tool: ResponseToolBody) -> FunctionBody:
    return FunctionBody(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        strict=tool.strict,
    )


def _choice(choice: ResponseToolChoice | None) -> ToolChoice | None:
    if isinstance(choice, ResponseNamedChoice):
        return NamedChoice(type="function", function=FunctionChoice(name=choice.name))
    return choice


def _response_format(body: WithForms) -> ResponseFormat | None:
    wanted = None if body.text is None else body.text.format
    if wanted is None:
        return None
    parts = (wanted.name, wanted.wire_schema)
    is_schema = wanted.type == "json_schema"
    if any((part is None) == is_schema for part in parts):
        raise InvalidParameter(
            f"text.format has the type {wanted.type} and "
            f"{'lacks a name or a schema' if is_schema else 'a name or a schema'}.",
            'Send {"type": "json_schema", "name": ..., "schema": ...}, or another type alone.',
            param="text.format",
        )
    if not is_schema:
        return ResponseFormat(type=wanted.type)
    wrapped = SchemaFormat.model_validate({"name": wanted.name, "schema": wanted.wire_schema})
    return ResponseFormat(type="json_schema", json_schema=wrapped)
