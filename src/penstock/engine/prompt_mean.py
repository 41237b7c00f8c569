"""Gathers the mean of a prompt's final hidden states, while the prompt is computed in pieces."""

import torch
from torch import Tensor

from penstock.types import PromptEmbedded


class PromptMean:
    """The mean over the positions of one prompt. `take` gives it out once."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._sum = torch.zeros((), dtype=torch.float64)  # (hidden_size,) once there is something
        self._num_positions = 0
        self._is_taken = False

    def add(self, hidden: Tensor) -> None:
        """Take the states (num_positions, hidden_size) of the next positions.

        They are summed in double precision, so that it hardly matters how the prompt was cut.
        """
        self._sum = self._sum + hidden.double().sum(dim=0).cpu()
        self._num_positions += len(hidden)

    def take(self) -> list[PromptEmbedded]:
        """The mean, the first time."""
        if self._is_taken:
            return []
        self._is_taken = True
        mean = (self._sum / self._num_positions).float()
        if not bool(mean.isfinite().all()):
            raise FloatingPointError("hidden states of its prompt are infinite or no numbers")
        return [PromptEmbedded(request_id=self._request_id, values=tuple(mean.tolist()))]
