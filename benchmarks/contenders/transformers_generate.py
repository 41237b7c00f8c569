"""transformers' `generate`, as people call it: a static batch, all prompts of one length."""

from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from transformers import AutoModelForCausalLM, StoppingCriteria, StoppingCriteriaList

from benchmarks.contenders.interface import Width
from benchmarks.load import About, Load, Stream
from benchmarks.memory import peak_bytes


class TransformersGenerate:
    """A model as `from_pretrained` gives it, in one number format."""

    def __init__(self, folder: Path, width: Width) -> None:
        self._model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, width), local_files_only=True
        ).eval()

    def about(self) -> About:
        weights = sum(p.nbytes for p in self._model.parameters())
        one_row = self._model.get_input_embeddings().weight[0].nbytes
        gathered = getattr(self._model.config, "n_positions", 0) * one_row  # never read whole
        return About(
            detail=f"attention: {self._model.config._attn_implementation}",
            weight_bytes=weights - gathered,
        )

    def run(self, load: Load) -> list[Stream]:
        assert load.all_at_once, "a static batch takes nobody in later"
        prompts = torch.tensor([prompt.token_ids for prompt in load.prompts])
        clock = StepClock()
        submitted = perf_counter()
        output = self._model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            num_beams=load.num_beams,
            max_new_tokens=load.new_tokens,
            min_new_tokens=load.new_tokens,
            pad_token_id=0,
            stopping_criteria=StoppingCriteriaList([clock]),
        )
        return [
            Stream(
                submitted=submitted,
                moments=tuple(clock.moments),
                token_ids=tuple(row[prompts.shape[1] :].tolist()),
            )
            for row in output
        ]

    def peak_bytes(self) -> int | None:
        return peak_bytes()

    def close(self) -> None:
        """Nothing outlives the process."""


class StepClock(StoppingCriteria):  # type: ignore[misc]  # transformers is not typed
    """Stops nothing: notes when each step of the batch has its tokens."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.moments.append(perf_counter())
        return torch.zeros(len(input_ids), dtype=torch.bool)
