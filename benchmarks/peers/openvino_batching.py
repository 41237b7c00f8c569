"""OpenVINO GenAI's continuous batching, step by step, as our own engine is measured."""

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import openvino
import openvino_genai

from benchmarks.load import About, Load, Stream
from benchmarks.memory import peak_bytes

CACHE_GIGABYTES = 1
MAX_BATCH_TOKENS = 1024


class OpenVinoBatching:
    """One pipeline for all loads; a stream's moments are when its step came back."""

    def __init__(self, folder: Path, width: str) -> None:
        schedule = openvino_genai.SchedulerConfig()
        schedule.cache_size = CACHE_GIGABYTES
        schedule.max_num_batched_tokens = MAX_BATCH_TOKENS
        schedule.enable_prefix_caching = False  # rounds repeat their prompts
        hints = {"INFERENCE_PRECISION_HINT": "f32"} if width == "float32" else {}
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            str(folder), schedule, "CPU", hints
        )
        self._num_requests = 0

    def about(self) -> About:
        return About(
            detail=f"OpenVINO GenAI {openvino_genai.__version__}, continuous batching",
            weight_bytes=None,
        )

    def run(self, load: Load) -> list[Stream]:
        assert load.all_at_once
        submitted, handles = [], []
        for prompt in load.prompts:
            submitted.append(perf_counter())
            handles.append(self._add(prompt.token_ids, load))
        moments: list[list[float]] = [[] for _ in handles]
        token_ids: list[list[int]] = [[] for _ in handles]
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            now = perf_counter()
            for stream, handle in enumerate(handles):
                while handle.can_read():
                    written = next(iter(handle.read().values())).generated_ids
                    moments[stream] += [now] * len(written)
                    token_ids[stream] += written
        return [
            Stream(submitted=at, moments=tuple(when), token_ids=tuple(ids))
            for at, when, ids in zip(submitted, moments, token_ids, strict=True)
        ]

    def _add(self, token_ids: tuple[int, ...], load: Load) -> Any:
        asked = openvino_genai.GenerationConfig()
        asked.do_sample = False
        asked.max_new_tokens = asked.min_new_tokens = load.new_tokens
        asked.ignore_eos = True
        self._num_requests += 1
        prompt = openvino.Tensor(np.array([token_ids], dtype=np.int64))
        return self._pipeline.add_request(self._num_requests, prompt, asked)

    def peak_bytes(self) -> int | None:
        return peak_bytes()

    def close(self) -> None:
        """Nothing outlives the process."""
