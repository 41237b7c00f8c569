"""A chat each through `langchain-openai` and through the command line of `llm`."""

import os
import subprocess
import sys
from pathlib import Path

from langchain_openai import ChatOpenAI

QUESTION = "Tell me of a crab."
MODELS_FILE = """\
- model_id: here
  model_name: {model}
  api_base: "{url}/v1"
"""


def chat_through_langchain(url: str, model: str) -> str:
    """The answer, which is the same whole and streamed."""
    chat = ChatOpenAI(
        model=model, base_url=f"{url}/v1", api_key="none", seed=3, max_completion_tokens=12
    )
    whole = chat.invoke(QUESTION)
    streamed = "".join(chunk.content for chunk in chat.stream(QUESTION))
    assert whole.content and whole.content == streamed, (whole.content, streamed)
    assert whole.usage_metadata["output_tokens"] == 12
    return f"langchain-openai: {whole.content!r}"


def chat_through_llm(url: str, model: str, folder: Path) -> str:
    """The answer, streamed as `llm` does by itself, and whole."""
    user = folder / "llm"
    user.mkdir(exist_ok=True)
    (user / "extra-openai-models.yaml").write_text(MODELS_FILE.format(model=model, url=url))
    environment = os.environ | {"LLM_USER_PATH": str(user), "OPENAI_API_KEY": "none"}
    command = [str(Path(sys.executable).with_name("llm")), "-m", "here", QUESTION,
               "-o", "max_tokens", "12", "-o", "seed", "3"]  # fmt: skip
    told = []
    for more in ([], ["--no-stream"]):
        told.append(
            subprocess.run(
                [*command, *more], env=environment, capture_output=True, text=True, check=True,
                timeout=120,
            ).stdout
        )  # fmt: skip
    assert told[0].strip() and told[0] == told[1], told
    return f"llm: {told[0].strip()!r}"
