"""Anthropic's tools and output format in OpenAI's words, which the rest is written in. Pure."""

import json
from typing import Any

from penstock.api.anthropic.schemas import AnthropicToolChoice, Called
from penstock.api.openai.formats import (
    FunctionBody,
    FunctionChoice,
    NamedChoice,
    ResponseFormat,
    SchemaFormat,
    ToolBody,
    ToolChoice,
    grammar_of_calls,
    refuse_two_forms,
    schema_of,
    tools_of,
)
from penstock.errors import InvalidParameter
from penstock.text.tool_calls import Tool


def called_tools(body: Called) -> tuple[Tool, ...]:
    """The tools that the model is told of."""
    tools = [
        ToolBody(
            type="function",
            function=FunctionBody(
                name=tool.name,
                description=tool.description,
                parameters=tool.input_schema,
                strict=tool.strict,
            ),
        )
        for tool in body.tools or ()
    ]
    return tools_of(tools, _choice(body.tool_choice))


def form_of(body: Called) -> dict[str, Any]:
    """What the answer is bound to, as values of the catalog's parameters."""
    tools, answer = called_tools(body), _response_format(body)
    if tools:
        refuse_two_forms(body, "tools")
        choice = body.tool_choice
        several = choice is None or not choice.disable_parallel_tool_use
        grammar = grammar_of_calls(tools, _choice(choice), several=several, response_format=answer)
        return {"grammar": grammar}
    if answer is None:
        return {}
    refuse_two_forms(body, "output_config")
    return {"json_schema": json.dumps(schema_of(answer), ensure_ascii=False)}


def _choice(choice: AnthropicToolChoice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if (choice.type == "tool") != (choice.name is not None):
        raise InvalidParameter(
            f"tool_choice has the type {choice.type} and "
            f"{'no name' if choice.name is None else 'a name'}.",
            'Send {"type": "tool", "name": "..."}, or another type without a name.',
            param="tool_choice",
        )
    match choice.type:
        case "any":
            return "required"
        case "tool":
            function = FunctionChoice(name=choice.name or "")
            return NamedChoice(type="function", function=function)
        case "auto" | "none":
            return choice.type


def _response_format(body: Called) -> ResponseFormat | None:
    wanted = body.output_config.format if body.output_config is not None else None
    if wanted is None:
        return None
    schema = SchemaFormat.model_validate({"name": "answer", "schema": wanted.wire_schema})
    return ResponseFormat(type="json_schema", json_schema=schema)
