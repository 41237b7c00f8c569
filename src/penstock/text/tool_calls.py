r"""How tools are told to a model and how it calls them: the form that Qwen2 models are taught.

    <tool_call>
    {"name": "get_weather", "arguments": {"city": "Oslo"}}
    </tool_call>

A chat model whose template knows no tools is told of them in a system message, in the words that
Qwen2 models are told; a base model, to which such words mean nothing, in few. Knows no HTTP.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPEN, CLOSE = "<tool_call>\n", "\n</tool_call>"
TRIGGER = OPEN.strip()
NAME, ARGUMENTS, END = '{"name": "', '", "arguments": ', "}"
MAX_CALLS = 16  # in one answer
INSTRUCTIONS = """\
# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""
BRIEF = """\
Tools:
{tools}
A call looks like this:
<tool_call>
{{"name": "tool", "arguments": {{}}}}
</tool_call>"""
RESPONSE = "<tool_response>\n{content}\n</tool_response>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that a model may call. `parameters` is a JSON schema, as JSON."""

    name: str
    description: str
    parameters: str
    is_strict: bool = False

    def described(self) -> dict[str, Any]:
        """The tool as OpenAI and chat templates write it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": json.loads(self.parameters),
        }
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model made. `arguments` is a JSON object, as JSON."""

    id: str
    name: str
    arguments: str

    def written(self) -> str:
        """The call as models here write it."""
        return f"{OPEN}{NAME}{self.name}{ARGUMENTS}{self.arguments}{END}{CLOSE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForm:
    """What an answer may be: calls alone or also text, one call or several."""

    must_call: bool
    several: bool
    answer: Mapping[str, Any] | None = None  # the schema of an answer without a call


def instructions(tools: Sequence[Tool]) -> str:
    """What a chat model whose template has no place for tools is told."""
    return INSTRUCTIONS.format(
        tools="\n".join(json.dumps(tool.described(), ensure_ascii=False) for tool in tools)
    )


def brief_instructions(tools: Sequence[Tool]) -> str:
    """What a base model is told: a line for each tool with its arguments."""
    return BRIEF.format(tools="\n".join(map(_signature, tools)))


def _signature(tool: Tool) -> str:
    properties = json.loads(tool.parameters).get("properties", {})
    arguments = [f"{name}: {_type_of(schema)}" for name, schema in properties.items()]
    description = f" - {tool.description}" if tool.description else ""
    return f"{tool.name}({', '.join(arguments)}){description}"


def _type_of(schema: Any) -> str:
    """A property's type as a person writes it, where the schema says it outright."""
    stated = schema if isinstance(schema, dict) else {}
    if isinstance(stated.get("enum"), list):
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in stated["enum"])
    return stated["type"] if isinstance(stated.get("type"), str) else "any"


def calls_grammar(tools: Sequence[Tool], form: CallForm) -> str:
    """The answer's grammar in Lark's notation. Every call's arguments fit their schema.

    Text may come before a call; from the moment it opens one, it goes on as a call.
    """
    rules = [f"fn_{i}: {_function(tool)}" for i, tool in enumerate(tools)]
    one_of = " | ".join(f"fn_{i}" for i in range(len(tools)))
    rules.append(f"after_open: {_quoted(OPEN.removeprefix(TRIGGER))} ({one_of}) {_quoted(CLOSE)}")
    rules.append(f"call: {_quoted(TRIGGER)} after_open")
    more = f'("\\n" call){{0,{MAX_CALLS - 1}}}' if form.several else ""
    if form.must_call:
        start = f"call {more}"
    elif form.answer is not None:
        rules.append(f"answer: %json {_schema(form.answer, is_strict=True)}")
        start = f"call {more} | answer"
    else:
        rules.append(f"spoken_call[lazy]: TEXT {_quoted(TRIGGER)}")
        rules.append("TEXT: /(.|\\n)*/")
        start = f"spoken_call after_open {more} | TEXT"
    return "\n".join([f"start: {start}", *rules]) + "\n"


def _function(tool: Tool) -> str:
    parameters = json.loads(tool.parameters)
    if "properties" in parameters:  # what is declared is what is meant
        parameters.setdefault("additionalProperties", False)
    schema = _schema(parameters, is_strict=tool.is_strict)
    return f"{_quoted(NAME + tool.name + ARGUMENTS)} %json {schema} {_quoted(END)}"


def _schema(schema: Mapping[str, Any], *, is_strict: bool) -> str:
    """A schema in the style that calls are written in; unless strict, unknown words are ignored."""
    style = {
        "whitespace_flexible": False,
        "item_separator": ", ",
        "key_separator": ": ",
        "lenient": not is_strict,
    }
    return json.dumps({**schema, "x-guidance": style}, ensure_ascii=False)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
