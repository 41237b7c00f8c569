"""What is sent to show that a field of OpenAI's requests is refused by name, or changes nothing."""

from typing import Any

from tests.api.openai.field_effects import (
    ANSWER,
    CALLED,
    MUST_CALL,
    PROMPT,
    after_call,
    called,
    choosing,
    formed,
    function,
    items,
    parts,
    schema,
    text_of,
    tool,
)

MEDIA = ("detail", "file_data", "file_id", "file_url", "filename", "image_url")
UNSUPPORTED: dict[str, Any] = {
    "suffix": "the end",
    "service_tier": "flex",
    "store": True,
    "functions": [{"name": "f"}],
    "function_call": {"name": "f"},
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "mp3"},
    "reasoning_effort": "high",
    "verbosity": "low",
    "web_search_options": {},
    "moderation": {},
    "prediction": {"type": "content", "content": "x"},
    "background": True,
    "context_management": [{"type": "compaction"}],
    "conversation": "conv_1",
    "max_tool_calls": 3,
    "prompt": {"id": "p"},
    "reasoning": {"effort": "high"},
    "truncation": "auto",
}
HARMLESS: dict[str, Any] = {
    "user": "someone",
    "safety_identifier": "someone",
    "prompt_cache_key": "key",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"},
    "metadata": {"purpose": "test"},
}


def said(**more: Any) -> dict[str, Any]:
    """A chat in which the assistant has spoken."""
    return {"messages": [{"role": "assistant", "content": "x", **more}]}


INNER: dict[str, dict[str, Any]] = {
    "messages.annotations": said(annotations=[1]),
    "messages.audio": said(audio={"id": "a"}),
    "messages.function_call": said(function_call={"name": "f"}),
    "messages.refusal": said(refusal="No."),
    "messages.content.file": parts("x", file={}),
    "messages.content.image_url": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ""}}]}]
    },
    "messages.content.input_audio": parts("x", input_audio={}),
    "messages.content.refusal": parts("x", refusal="No."),
    "messages.tool_calls.custom": after_call(custom={"name": "f", "input": ""}),
    "tools.custom": {"tools": [function() | {"custom": {"name": "f"}}]},
    "tool_choice.allowed_tools": CALLED | {"tool_choice": choosing("f") | {"allowed_tools": {}}},
    "tool_choice.custom": CALLED | {"tool_choice": choosing("f") | {"custom": {"name": "f"}}},
    "stream_options.include_obfuscation": {
        "stream": True, "stream_options": {"include_obfuscation": True},
    },
    **{
        f"input.content.{name}": items(content=[{"type": "input_text", "text": "x", name: "x"}])
        for name in (*MEDIA, "refusal")
    },
    **{
        f"input.output.{name}": called(output=[{"type": "input_text", "text": "x", name: "x"}])
        for name in (*MEDIA, "refusal")
    },
    "input.caller": called(caller={"type": "program"}),
    "input.namespace": called(namespace="here"),
    "text.verbosity": {"text": {"verbosity": "low"}},
    "tools.defer_loading": {"tools": [tool(defer_loading=True)]},
    "tools.output_schema": {"tools": [tool(output_schema={"type": "string"})]},
    "tools.allowed_callers": {"tools": [tool(allowed_callers=["direct"])]},
    "tool_choice.mode": MUST_CALL | {"tool_choice": tool(mode="auto")},
    "tool_choice.tools": MUST_CALL | {"tool_choice": tool(tools=[])},
}  # fmt: skip
BREAKPOINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}
ANSWERED = {"annotations": [], "logprobs": []}
PART = {"type": "input_text", "text": PROMPT}
HARMLESS_INNER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "messages.content.prompt_cache_breakpoint": (parts("x", **BREAKPOINT), parts("x")),
    "response_format.json_schema.name": (
        {"response_format": formed(schema("a"), name="one")},
        {"response_format": formed(schema("a"), name="two")},
    ),
    "response_format.json_schema.description": (
        {"response_format": formed(schema("a"), description="One.")},
        {"response_format": formed(schema("a"))},
    ),
    "response_format.json_schema.strict": (
        {"response_format": formed(schema("a"), strict=True)},
        {"response_format": formed(schema("a"), strict=False)},
    ),
    "input.id": (items(id="msg_1"), items()),
    "input.phase": (items(phase="final_answer"), items()),
    "input.status": (items(status="completed"), items()),
    "input.content.annotations": (items(content=[PART | {"annotations": []}]), items()),
    "input.content.logprobs": (items(content=[PART | {"logprobs": []}]), items()),
    "input.content.prompt_cache_breakpoint": (items(content=[PART | BREAKPOINT]), items()),
    **{
        f"text.format.{name}": ({"text": text_of(schema("a"), **{name: value})},
                                {"text": text_of(schema("a"))})
        for name, value in (("name", "two"), ("description", "One."), ("strict", True))
    },
    **{
        f"input.output.{name}": (called(output=[ANSWER | {name: value}]), called())
        for name, value in (("annotations", []), ("logprobs", []), *BREAKPOINT.items())
    },
}  # fmt: skip
