"""CTranslate2's generator: a static batch, whose every token is told as it is chosen."""

import json
from pathlib import Path
from time import perf_counter

import ctranslate2

from benchmarks.load import About, Load, Stream
from benchmarks.machine import num_cores
from benchmarks.memory import peak_bytes


class Ctranslate2Generator:
    """One generator for all loads, on all cores."""

    def __init__(self, folder: Path, width: str) -> None:
        self._vocabulary: list[str] = json.loads((folder / "vocabulary.json").read_text())
        self._generator = ctranslate2.Generator(
            str(folder), device="cpu", compute_type=width, intra_threads=num_cores()
        )

    def about(self) -> About:
        return About(
            detail=f"CTranslate2 {ctranslate2.__version__}, {self._generator.compute_type}",
            weight_bytes=None,
        )

    def run(self, load: Load) -> list[Stream]:
        assert load.all_at_once, "a static batch takes nobody in later"
        moments: list[list[float]] = [[] for _ in load.prompts]
        token_ids: list[list[int]] = [[] for _ in load.prompts]

        def note(result: ctranslate2.GenerationStepResult) -> bool:
            moments[result.batch_id].append(perf_counter())
            token_ids[result.batch_id].append(result.token_id)
            return False

        submitted = perf_counter()
        self._generator.generate_batch(
            [[self._vocabulary[i] for i in prompt.token_ids] for prompt in load.prompts],
            max_length=load.new_tokens,
            min_length=load.new_tokens,
            include_prompt_in_result=False,
            sampling_topk=1,
            callback=note,
        )
        return [
            Stream(submitted=submitted, moments=tuple(when), token_ids=tuple(ids))
            for when, ids in zip(moments, token_ids, strict=True)
        ]

    def peak_bytes(self) -> int | None:
        return peak_bytes()

    def close(self) -> None:
        """Nothing outlives the process."""
