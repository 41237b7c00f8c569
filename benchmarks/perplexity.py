"""What keeping weights in fewer bits costs: perplexity of held-out text for each number format.

Usage: python -m benchmarks.perplexity MODEL_FOLDER STORIES.jsonl… [--dtypes float32,int8,int4]

The text is what training holds out of these files (`training/corpus.py`): no document of it was
learnt by the built-in model. Each document is scored from its beginning, up to the model's context.
"""

import argparse
import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import get_args

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.model.dtypes import Dtype
from penstock.model.loading import LoadedModel, load_model
from penstock.ops.choose import choose_ops
from penstock.training.preparing import is_held_out
from penstock.training.prose import read_documents, without_doubles
from penstock.training.recipe import DataSource
from penstock.types import GenerationRequest, PromptScored

HELD_OUT = 0.01  # of all documents
MAX_TOKENS = 512


def held_out(paths: Sequence[Path]) -> list[str]:
    """The documents that training does not see."""
    seen: set[bytes] = set()
    sources = (without_doubles(read_documents(DataSource(path=path)), seen) for path in paths)
    return [text for text in chain.from_iterable(sources) if is_held_out(text, HELD_OUT)]


def perplexity(model: LoadedModel, texts: Sequence[str]) -> tuple[float, int]:
    """Per token, and of how many tokens."""
    engine = Engine(model, EngineConfig(max_sequences=4))
    surprise = num_tokens = 0.0
    longest = min(MAX_TOKENS, model.context_length)
    for number, text in enumerate(texts):
        token_ids = tuple(model.tokenizer.encode(text)[:longest])
        request = GenerationRequest(
            request_id=str(number),
            prompt=token_ids,
            model=model.model_id,
            max_new_tokens=0,
            prompt_logprobs=0,
        )
        engine.add(prepare(request, model))
        while engine.has_work:
            scored = (output for output in engine.step() if isinstance(output, PromptScored))
            for output in scored:
                surprise -= sum(token.chosen.logprob for token in output.logprobs)
                num_tokens += len(output.logprobs)
    return math.exp(surprise / num_tokens), round(num_tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--dtypes", default=",".join(get_args(Dtype)))
    given = parser.parse_args()
    texts, base = held_out(given.texts), None
    ops = choose_ops(num_threads=1).ops
    for dtype in given.dtypes.split(","):
        model = load_model(given.folder, model_id=given.folder.name, ops=ops, dtype=dtype)
        found, num_tokens = perplexity(model, texts)
        base = base or found
        print(
            f"{model.model_id}  {dtype:8}  {model.num_bytes:>11,} bytes  {num_tokens:,} tokens  "
            f"perplexity {found:.3f} ({(found / base - 1) * 100:+.2f} %)",
            flush=True,
        )


if __name__ == "__main__":
    main()
