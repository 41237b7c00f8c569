"""What shows, for each field of OpenAI's requests, that the field is honoured.

A proof is a request with the field beside the same request without it, whose answers differ; or a
value that is refused under the field's own name, for fields that have only one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODEL = "penstock-tiny"
PROMPT = "Once upon a time there was"
USER = {"role": "user", "content": PROMPT}
BASE: dict[str, dict[str, Any]] = {
    "/v1/completions": {"model": MODEL, "prompt": PROMPT, "max_tokens": 20, "seed": 7},
    "/v1/chat/completions": {
        "model": MODEL, "messages": [USER], "max_completion_tokens": 20, "seed": 7,
    },
    "/v1/embeddings": {"model": MODEL, "input": PROMPT},
    "/v1/responses": {"model": MODEL, "input": PROMPT, "max_output_tokens": 20, "seed": 7},
}  # fmt: skip


@dataclass(frozen=True)
class Differs:
    """Two requests, each by its changes to the route's plain one, whose answers are not the same.

    Left out, the second is the plain request.
    """

    changes: Mapping[str, Any]
    other: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refuses:
    """A request that is refused in the name of the field, or of the part of it that is wrong."""

    changes: Mapping[str, Any]
    param: str


Proof = Differs | Refuses


def beside(common: Mapping[str, Any], **own: Any) -> Differs:
    """The field beside others that it needs."""
    return Differs({**common, **own}, common)


def function(name: str = "f", **more: Any) -> dict[str, Any]:
    """A tool."""
    return {"type": "function", "function": {"name": name, **more}}


def formed(schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A `response_format` with a schema."""
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}


def schema(name: str) -> dict[str, Any]:
    """A schema of an object with one property."""
    return {
        "type": "object", "properties": {name: {"type": "boolean"}}, "required": [name],
        "additionalProperties": False,
    }  # fmt: skip


BEAMS = {"strategy": "beam_search", "num_beams": 3}
GROUPS = {
    "strategy": "diverse_beam_search", "num_beams": 4, "num_beam_groups": 2, "length_penalty": 10.0,
    "logit_bias": {"0": 5},
}  # fmt: skip
FORCED = {"logit_bias": {"300": 30}}
URGED = {"logit_bias": {"300": 8}}
DRY = {"dry_multiplier": 1.0, "dry_allowed_length": 1, **FORCED}
MIROSTAT = {"mirostat": 2}
XTC = {"xtc_probability": 1.0}
MARK = {"watermark_delta": 20.0, "watermark_key": 5}
WARM = {"dynatemp_range": 1.0}
TOPIC = {"topic_words": ["dragon", "castle", "fire"]}
GREEDY = {"temperature": 0}


def early_stopping(bias: int) -> Differs:
    """The first texts that end, or better ones that end later."""
    beams = {**BEAMS, "logit_bias": {"0": bias}, "length_penalty": 5.0}
    return beside(beams, early_stopping=True)


def num_beam_groups(**more: Any) -> Differs:
    """Four groups of one beam, or two of two."""
    return beside({**GROUPS, "diversity_penalty": 100.0, **more}, num_beam_groups=4)


def diversity_penalty(**more: Any) -> Differs:
    """Groups that may not write the same, or may."""
    return beside({**GROUPS, "diversity_penalty": 0.0, **more}, diversity_penalty=100.0)


CATALOG: dict[str, Proof] = {
    "json_schema": Differs({"json_schema": schema("a")}),
    "json_object": Differs({"json_object": True}),
    "regex": Differs({"regex": "[0-9]{5}"}),
    "choice": Differs({"choice": ["yes", "no"]}),
    "grammar": Differs({"grammar": 'start: "yes"'}),
    "dola_layers": Differs(
        {"strategy": "dola", "dola_layers": "high"}, {"strategy": "dola", "dola_layers": [0]}
    ),
    "sequence_bias": Differs({"sequence_bias": [[[300], 20.0]]}),
    "bad_words": Differs({"bad_words": ["a", "the"], **GREEDY}, GREEDY),
    "topic_words": Differs(TOPIC),
    "topic_strength": beside(TOPIC, topic_strength=15.0),
    "suppress_tokens": Differs({"suppress_tokens": list(range(200, 500))}),
    "begin_suppress_tokens": beside(FORCED, begin_suppress_tokens=[300]),
    "encoder_repetition_penalty": Differs({"encoder_repetition_penalty": 5.0}),
    "repetition_penalty": Differs({"repetition_penalty": 5.0}),
    "frequency_penalty": beside(URGED, frequency_penalty=2.0),
    "presence_penalty": beside(URGED, presence_penalty=2.0),
    "no_repeat_ngram_size": Differs({"no_repeat_ngram_size": 1}),
    "encoder_no_repeat_ngram_size": beside(URGED, encoder_no_repeat_ngram_size=1),
    "dry_multiplier": beside({**DRY, "dry_multiplier": 0.0}, dry_multiplier=20.0),
    "dry_base": beside(DRY, dry_base=8.0),
    "dry_allowed_length": beside(DRY, dry_allowed_length=1000),
    "dry_penalty_last_n": beside(DRY, dry_penalty_last_n=0),
    "dry_sequence_breakers": beside(DRY, dry_sequence_breakers=[" I"]),
    "min_length": beside({"logit_bias": {"0": 12}}, min_length=20),
    "forced_bos_token_id": Differs({"forced_bos_token_id": 300}),
    "forced_eos_token_id": Differs({"forced_eos_token_id": 300}),
    "exponential_decay_length_penalty": Differs({"exponential_decay_length_penalty": [1, 9.0]}),
    "dynatemp_range": Differs(WARM),
    "dynatemp_exponent": beside(WARM, dynatemp_exponent=10.0),
    "top_h": Differs({"top_h": 0.1}),
    "top_k": Differs({"top_k": 1}),
    "top_p": Differs({"top_p": 0.1}),
    "min_p": Differs({"min_p": 0.9}),
    "typical_p": Differs({"typical_p": 0.1}),
    "epsilon_cutoff": Differs({"epsilon_cutoff": 0.3}),
    "eta_cutoff": Differs({"eta_cutoff": 0.5}),
    "top_n_sigma": Differs({"top_n_sigma": 0.2}),
    "top_a": Differs({"top_a": 1.0}),
    "tfs_z": Differs({"tfs_z": 0.1}),
    "xtc_probability": Differs(XTC),
    "xtc_threshold": beside(XTC, xtc_threshold=0.01),
    "mirostat": Differs(MIROSTAT),
    "mirostat_tau": beside(MIROSTAT, mirostat_tau=0.5),
    "mirostat_eta": beside({"mirostat": 2, "mirostat_tau": 2.0}, mirostat_eta=1.0),
    "watermark_delta": Differs(MARK, {"watermark_key": 5}),
    "watermark_gamma": beside(MARK, watermark_gamma=0.9),
    "watermark_key": beside(MARK, watermark_key=6),
    "processor_order": beside(
        {"temperature": 2.0, "top_p": 0.5}, processor_order=["top_p", "temperature"]
    ),
    "num_beams": beside(BEAMS, num_beams=1),
    "length_penalty": Differs(
        {**BEAMS, "logit_bias": {"0": 8}, "length_penalty": -10.0},
        {**BEAMS, "logit_bias": {"0": 8}, "length_penalty": 10.0},
    ),
    "early_stopping": early_stopping(6),
    "num_beam_groups": num_beam_groups(),
    "diversity_penalty": diversity_penalty(),
    "force_words": beside(
        {"strategy": "constrained_beam_search", "num_beams": 3, "force_words": ["dragon"]},
        force_words=["castle"],
    ),
    "num_candidates": beside({"strategy": "best_of_n", "num_candidates": 1}, num_candidates=8),
    "prompt_lookup_num_tokens": Refuses(
        {"strategy": "greedy", "prompt_lookup_num_tokens": 5}, "prompt_lookup_num_tokens"
    ),  # where it is used the text stays the same: the engine's tests show the effect
    "draft_num_tokens": Refuses(
        {"strategy": "greedy", "draft_num_tokens": 5}, "draft_num_tokens"
    ),  # likewise
    "guidance_scale": Differs({"guidance_scale": 5.0}),
    "negative_prompt": beside({"guidance_scale": 5.0}, negative_prompt="A dragon"),
    "attribute": Refuses({"attribute": "nobody"}, "attribute"),
    "attribute_strength": Refuses(
        {"attribute": "nobody", "attribute_strength": 1e9}, "attribute_strength"
    ),
    "max_matching_ngram_size": Refuses(
        {"strategy": "greedy", "max_matching_ngram_size": 5}, "max_matching_ngram_size"
    ),
    "penalty_alpha": beside(
        {"strategy": "contrastive_search", "top_k": 4, "penalty_alpha": 0.0}, penalty_alpha=0.9
    ),
}  # fmt: skip
SHARED: dict[str, Proof] = {
    **CATALOG,
    "model": Refuses({"model": "nobody"}, "model"),
    "adapter": Refuses({"adapter": "nobody"}, "adapter"),
    "keep_alive": Refuses({"keep_alive": "soon"}, "keep_alive"),
    "max_time": Differs({"max_time": 0.001}),
    "logit_bias": Differs({"logit_bias": {"300": 100}}),
    "temperature": Differs({"temperature": 2.0}),
    "min_new_tokens": beside({"logit_bias": {"0": 12}}, min_new_tokens=20),
    "seed": Differs({"seed": 8}),
    "strategy": Differs({"strategy": "greedy"}),
}
CHOSEN: dict[str, Proof] = {
    "n": Differs({"n": 2}),
    "stop": Differs({"stop": "e"}),
    "response_format": Differs({"response_format": {"type": "json_object"}}),
    "response_format.type": Refuses({"response_format": {"type": "xml"}}, "response_format.type"),
    "response_format.json_schema": Differs({"response_format": formed(schema("a"))}),
    "response_format.json_schema.schema": Differs(
        {"response_format": formed(schema("a"))}, {"response_format": formed(schema("b"))}
    ),
    "response_format.json_schema.name": Refuses(
        {"response_format": formed(schema("a"), name="no name")},
        "response_format.json_schema.name",
    ),
}
CALLED = {"tools": [function()], "tool_choice": "required"}
NAMED = {"tools": [function("f"), function("g")]}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def choosing(name: str) -> dict[str, Any]:
    """A `tool_choice` of one function."""
    return {"type": "function", "function": {"name": name}}


def after_call(**changes: Any) -> dict[str, Any]:
    """A chat in which a tool was called."""
    call = CALL | changes
    return {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [call]}]}


def parts(*texts: str, **more: Any) -> dict[str, Any]:
    """A chat of one message in parts."""
    content = [{"type": "text", "text": text, **more} for text in texts]
    return {"messages": [{"role": "user", "content": content}]}


def items(**changes: Any) -> dict[str, Any]:
    """An input of one message of one part."""
    part = {"type": "input_text", "text": PROMPT}
    return {"input": [{"type": "message", "role": "user", "content": [part], **changes}]}


CHAT: dict[str, Proof] = {
    **SHARED,
    **CHOSEN,
    "messages": Differs({"messages": [{"role": "user", "content": "Hm."}]}),
    "messages.role": Differs({"messages": [{"role": "system", "content": PROMPT}]}),
    "messages.content": Differs({"messages": [{"role": "user", "content": "Hm."}]}),
    "messages.content.text": Differs(parts("A crab."), parts("A king.")),
    "messages.content.type": Refuses(
        {"messages": [{"role": "user", "content": [{"type": "sound"}]}]}, "messages.0.content"
    ),
    "messages.tool_calls": Differs(after_call(), {"messages": [USER]}),
    "messages.tool_calls.function": Differs(
        after_call(), after_call(function={"name": "g", "arguments": '{"a": 1}'})
    ),
    "messages.tool_calls.function.name": Differs(
        after_call(), after_call(function={"name": "g", "arguments": "{}"})
    ),
    "messages.tool_calls.function.arguments": Differs(
        after_call(), after_call(function={"name": "f", "arguments": '{"a": 1}'})
    ),
    "messages.tool_calls.id": Refuses(after_call(id=""), "messages.1.tool_calls.0.id"),
    "messages.tool_calls.type": Refuses(after_call(type="x"), "messages.1.tool_calls.0.type"),
    "messages.tool_call_id": Refuses(
        {"messages": [USER, {"role": "tool", "content": "1"}]}, "messages.1.tool_call_id"
    ),
    "max_completion_tokens": Differs({"max_completion_tokens": 5}),
    "max_tokens": Differs(
        {"max_tokens": 5, "max_completion_tokens": None}, {"max_completion_tokens": None}
    ),
    "logprobs": Differs({"logprobs": True}),
    "top_logprobs": beside({"logprobs": True}, top_logprobs=3),
    "add_generation_prompt": Differs({"add_generation_prompt": False}),
    "tools": Differs({"tools": [function()]}),
    "tools.type": Refuses({"tools": [function() | {"type": "x"}]}, "tools.0.type"),
    "tools.function": Refuses({"tools": [{"type": "function"}]}, "tools.0.function"),
    "tools.function.name": Differs({"tools": [function("f")]}, {"tools": [function("get_it_now")]}),
    "tools.function.description": Differs({"tools": [function(description="A long word.")]}),
    "tools.function.parameters": beside(CALLED, tools=[function(parameters=schema("a"))]),
    "tools.function.strict": Refuses(
        {"tools": [function(strict=True, parameters={"type": "object", "not": {}})]}, "tools"
    ),
    "tool_choice": Differs(CALLED, {"tools": [function()]}),
    "tool_choice.type": Refuses(
        {**NAMED, "tool_choice": choosing("f") | {"type": "x"}}, "tool_choice.type"
    ),
    "tool_choice.function": Refuses(
        {**NAMED, "tool_choice": {"type": "function"}}, "tool_choice.function"
    ),
    "tool_choice.function.name": Differs(
        {**NAMED, "tool_choice": choosing("f"), "max_completion_tokens": 60},
        {**NAMED, "tool_choice": choosing("g"), "max_completion_tokens": 60},
    ),
}  # fmt: skip


def tool(name: str = "f", **more: Any) -> dict[str, Any]:
    """A tool as responses have it."""
    return {"type": "function", "name": name, **more}


def text_of(schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A `text` with a schema."""
    return {"format": {"type": "json_schema", "name": "x", "schema": schema, **more}}


def called(arguments: str = "{}", output: Any = "1", **more: Any) -> dict[str, Any]:
    """An input with a call of a function and its answer."""
    return {
        "input": [
            {"role": "user", "content": PROMPT},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments, **more},
            {"type": "function_call_output", "call_id": "c", "output": output},
        ]
    }


MUST_CALL = {"tools": [tool()], "tool_choice": "required"}
TWO_TOOLS = {"tools": [tool("f"), tool("g")], "max_output_tokens": 60}
ANSWER = {"type": "input_text", "text": "1"}
LOGPROBS = {"include": ["message.output_text.logprobs"]}
PROOFS: dict[str, dict[str, Proof]] = {
    "/v1/completions": {
        **SHARED,
        **CHOSEN,
        "early_stopping": early_stopping(10),
        "num_beam_groups": num_beam_groups(n=4),
        "diversity_penalty": diversity_penalty(n=4),
        "prompt": Differs({"prompt": "The"}),
        "max_tokens": Differs({"max_tokens": 5}),
        "best_of": Differs({"best_of": 8}),
        "echo": Differs({"echo": True}),
        "logprobs": Differs({"logprobs": 1}),
    },
    "/v1/chat/completions": CHAT,
    "/v1/responses": {
        **SHARED,
        "input": Differs({"input": "The"}),
        "input.type": Refuses(items(type="reasoning"), "input"),
        "input.role": Differs(items(), items(role="system")),
        "input.content": Differs(items(content="The"), items()),
        "input.content.type": Refuses(items(content=[{"type": "sound"}]), "input"),
        "input.content.text": Differs(
            items(content=[{"type": "input_text", "text": "The"}]), items()
        ),
        "input.call_id": Refuses(called(call_id="d"), "input"),
        "input.name": Differs(called(name="g"), called()),
        "input.arguments": Differs(called('{"a": 1}'), called()),
        "input.output": Differs(called(output="2"), called()),
        "input.output.type": Refuses(called(output=[ANSWER | {"type": "sound"}]), "input"),
        "input.output.text": Differs(called(output=[ANSWER | {"text": "2"}]), called()),
        "text": Differs({"text": text_of(schema("a"))}),
        "text.format": Differs({"text": {"format": {"type": "json_object"}}}),
        "text.format.type": Refuses({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        "text.format.schema": Differs(
            {"text": text_of(schema("a"))}, {"text": text_of(schema("b"))}
        ),
        "tools": Differs({"tools": [tool()]}),
        "tools.type": Refuses({"tools": [tool() | {"type": "x"}]}, "tools.0.type"),
        "tools.name": Differs({"tools": [tool("f")]}, {"tools": [tool("get_it_now")]}),
        "tools.description": Differs({"tools": [tool(description="A long word.")]}),
        "tools.parameters": beside(MUST_CALL, tools=[tool(parameters=schema("a"))]),
        "tools.strict": Refuses(
            {"tools": [tool(strict=True, parameters={"type": "object", "not": {}})]}, "tools"
        ),
        "tool_choice": Differs(MUST_CALL, {"tools": [tool()]}),
        "tool_choice.type": Refuses(
            {**TWO_TOOLS, "tool_choice": {"type": "x", "name": "f"}}, "tool_choice.type"
        ),
        "tool_choice.name": Differs(
            {**TWO_TOOLS, "tool_choice": tool("f")}, {**TWO_TOOLS, "tool_choice": tool("g")}
        ),
        "instructions": Differs({"instructions": "Hm."}),
        "max_output_tokens": Differs({"max_output_tokens": 5}),
        "include": Differs(LOGPROBS),
        "top_logprobs": beside(LOGPROBS, top_logprobs=3),
        "metadata": Differs({"metadata": {"a": "b"}}),
        "store": Differs({"store": False}),
    },
    "/v1/embeddings": {
        "model": Refuses({"model": "nobody"}, "model"),
        "input": Differs({"input": "The"}),
        "encoding_format": Differs({"encoding_format": "base64"}),
        "adapter": SHARED["adapter"],
        "keep_alive": SHARED["keep_alive"],
        "dimensions": Refuses({"dimensions": 7}, "dimensions"),
    },
}  # fmt: skip
