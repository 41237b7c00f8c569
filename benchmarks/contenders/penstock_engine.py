"""Our engine, called directly: no HTTP, no threads between it and the measurement."""

from pathlib import Path
from time import perf_counter

from benchmarks.contenders.interface import Width
from benchmarks.load import About, Load, Stream
from benchmarks.machine import num_cores
from benchmarks.memory import peak_bytes
from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.model.loading import load_model
from penstock.ops.choose import choose_ops
from penstock.types import DecodingParams, GenerationRequest, TokensAdded


class PenstockEngine:
    """One engine for all loads; a stream's moments are when its step came back."""

    def __init__(self, folder: Path, width: Width) -> None:
        chosen = choose_ops(num_threads=num_cores())
        self._reason = chosen.reason
        self._model = load_model(folder, model_id=folder.name, ops=chosen.ops, dtype=width)
        # rounds repeat their prompts, which the others compute each time
        self._engine = Engine(self._model, EngineConfig(prefix_cache=False))

    def about(self) -> About:
        return About(detail=self._reason, weight_bytes=self._model.num_bytes)

    def run(self, load: Load) -> list[Stream]:
        submitted: list[float] = []
        moments: list[list[float]] = [[] for _ in load.prompts]
        token_ids: list[list[int]] = [[] for _ in load.prompts]
        while len(submitted) < len(load.prompts) or self._engine.has_work:
            while self._is_next_due(load, len(submitted), len(moments[0])):
                submitted.append(perf_counter())
                self._engine.add(prepare(_request(load, len(submitted) - 1), self._model))
            outputs = self._engine.step()
            now = perf_counter()
            for output in outputs:
                if isinstance(output, TokensAdded):
                    stream = int(output.request_id)
                    moments[stream] += [now] * len(output.token_ids)
                    token_ids[stream] += output.token_ids
        return [
            Stream(submitted=at, moments=tuple(when), token_ids=tuple(ids))
            for at, when, ids in zip(submitted, moments, token_ids, strict=True)
        ]

    def peak_bytes(self) -> int | None:
        return peak_bytes()

    def close(self) -> None:
        """Nothing outlives the process."""

    @staticmethod
    def _is_next_due(load: Load, index: int, num_written: int) -> bool:
        return index < len(load.arrivals) and load.arrivals[index] <= num_written


def _request(load: Load, index: int) -> GenerationRequest:
    return GenerationRequest(
        request_id=str(index),
        prompt=load.prompts[index].token_ids,
        model="benchmark",
        strategy="greedy" if load.num_beams == 1 else "beam_search",
        params=DecodingParams(num_beams=load.num_beams),
        max_new_tokens=load.new_tokens,
        min_new_tokens=load.new_tokens,
    )
