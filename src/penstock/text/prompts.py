"""Renders a system prompt and examples into the one text that a model continues.

A base model knows no roles, so this is the declared fallback template, shown with every answer. It
serves chat models too until their own templates are rendered:

    {system prompt}

    Input: {example input}
    Output: {example output}

    Input: {prompt}
    Output:

Parts that were not given are left out; without any, the prompt goes to the model untouched. With a
system prompt alone there are no labels. There is no space after the last colon: a byte-level
tokenizer puts it into the first word of the answer.

A control code comes before all of it, with a space between unless it ends with one of its own.
"""

from collections.abc import Sequence


def render_prompt(
    prompt: str,
    *,
    system_prompt: str | None = None,
    examples: Sequence[tuple[str, str]] = (),
    control_code: str | None = None,
) -> str:
    """Return the text that the model sees; an example is an input and its output."""
    rendered = _with_parts(prompt, system_prompt, examples)
    if not control_code:
        return rendered
    return f"{control_code}{'' if control_code[-1].isspace() else ' '}{rendered}"


def _with_parts(prompt: str, system_prompt: str | None, examples: Sequence[tuple[str, str]]) -> str:
    if not (system_prompt or examples):
        return prompt
    parts = [system_prompt] if system_prompt else []
    parts += [f"Input: {given}\nOutput: {wanted}" for given, wanted in examples]
    parts.append(f"Input: {prompt}\nOutput:" if examples else prompt)
    return "\n\n".join(parts)
