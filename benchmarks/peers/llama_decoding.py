"""llama.cpp by its own functions: prompts together, then one token of every stream a step."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import llama_cpp
import numpy as np

from benchmarks.load import About, Load, Stream
from benchmarks.machine import num_cores
from benchmarks.memory import peak_bytes

MAX_STREAMS = 16
CONTEXT = 16 * 1024
MAX_BATCH_TOKENS = 2048


class LlamaDecoding:
    """One context for all loads, on all cores."""

    def __init__(self, folder: Path) -> None:
        llama_cpp.llama_backend_init()
        file = str(folder / "model.gguf").encode()
        asked = llama_cpp.llama_model_default_params()
        asked.n_gpu_layers = 0
        self._model = llama_cpp.llama_load_model_from_file(file, asked)
        assert self._model, "llama.cpp did not load the model"
        sizes = llama_cpp.llama_context_default_params()
        sizes.n_ctx, sizes.n_seq_max = CONTEXT, MAX_STREAMS
        sizes.n_batch = sizes.n_ubatch = MAX_BATCH_TOKENS
        sizes.n_threads = sizes.n_threads_batch = num_cores()
        self._context = llama_cpp.llama_new_context_with_model(self._model, sizes)
        assert self._context, "llama.cpp did not make a context"
        vocabulary = llama_cpp.llama_model_get_vocab(self._model)
        self._vocab_size = llama_cpp.llama_vocab_n_tokens(vocabulary)
        self._batch = llama_cpp.llama_batch_init(MAX_BATCH_TOKENS, 0, 1)

    def about(self) -> About:
        size = llama_cpp.llama_model_size(self._model)
        return About(detail=f"llama-cpp-python {llama_cpp.__version__}", weight_bytes=size)

    def run(self, load: Load) -> list[Stream]:
        assert load.all_at_once
        submitted = perf_counter()
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        token_ids: list[list[int]] = [[] for _ in load.prompts]
        moments: list[float] = []
        pending: list[Sequence[int]] = [prompt.token_ids for prompt in load.prompts]
        starts = [0] * len(pending)
        for _ in range(load.new_tokens):
            chosen = self._step(pending, starts)
            moments.append(perf_counter())
            starts = [at + len(ids) for at, ids in zip(starts, pending, strict=True)]
            pending = [[token] for token in chosen]
            for ids, token in zip(token_ids, chosen, strict=True):
                ids.append(token)
        return [
            Stream(submitted=submitted, moments=tuple(moments), token_ids=tuple(ids))
            for ids in token_ids
        ]

    def _step(self, pending: Sequence[Sequence[int]], starts: Sequence[int]) -> list[int]:
        """The likeliest next token of every stream, after its pending ones."""
        batch, index, last = self._batch, 0, []
        for stream, (token_ids, start) in enumerate(zip(pending, starts, strict=True)):
            for offset, token in enumerate(token_ids):
                batch.token[index], batch.pos[index] = token, start + offset
                batch.n_seq_id[index], batch.seq_id[index][0] = 1, stream
                batch.logits[index] = offset == len(token_ids) - 1
                index += 1
            last.append(index - 1)
        batch.n_tokens = index
        code = llama_cpp.llama_decode(self._context, batch)
        assert code == 0, f"llama_decode answered {code}"
        return [int(self._logits(row).argmax()) for row in last]

    def _logits(self, row: int) -> np.ndarray[Any, Any]:
        pointer = llama_cpp.llama_get_logits_ith(self._context, row)
        floats = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float * self._vocab_size))
        return np.frombuffer(floats.contents, dtype=np.float32)

    def peak_bytes(self) -> int | None:
        return peak_bytes()

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
