"""Follows one sequence through a grammar: which tokens may come next.

A mask is computed on another thread as soon as the token before it is known, while the model
computes the next logits, so that it is usually ready when it is wanted.
"""

from concurrent.futures import Executor, Future

import numpy as np
import torch
from llguidance import LLMatcher
from torch import Tensor

from penstock.errors import InvalidParameter


class Follower:
    """The state of one sequence. Not thread-safe; whoever advances it also asks it."""

    def __init__(self, field: str, matcher: LLMatcher, allowed: Tensor, executor: Executor) -> None:
        self._field = field
        self._matcher = matcher
        self._vocab_size = len(allowed)
        self._executor = executor
        self._allowed: Future[Tensor] = Future()
        self._allowed.set_result(allowed)

    def allowed(self) -> Tensor:
        """Which tokens may come next (vocab_size,); waits if that is still being computed.

        The tokens that end a text are among them only where it is complete.
        """
        return self._allowed.result()

    def advance(self, token_id: int) -> None:
        """Take the next token, which was allowed, and begin on the next mask."""
        self._allowed = self._executor.submit(self._advanced, token_id)

    def fork(self, token_id: int) -> "Follower":
        """A follower of the same text so far that goes on with this token. Wait for masks first."""
        twin = Follower(
            self._field, self._matcher.deep_copy(), self._allowed.result(), self._executor
        )
        twin.advance(token_id)
        return twin

    def _advanced(self, token_id: int) -> Tensor:
        self._matcher.consume_token(token_id)
        mask = self._matcher.compute_bitmask()
        allowed = allowed_tokens(mask, self._vocab_size)
        if self._matcher.is_error() or not bool(allowed.any()):
            raise InvalidParameter(
                f"{self._field} is too complex to follow any further ({self._reason()}).",
                "Use fewer or smaller repetitions.",
                param=self._field,
            )
        return allowed

    def _reason(self) -> str:
        return self._matcher.stop_reason()


def allowed_tokens(mask: bytes, vocab_size: int) -> Tensor:
    """A mask of one bit per token, the lowest first, as booleans (vocab_size,).

    A model may have more rows than its vocabulary has tokens; those are never allowed.
    """
    bits = np.unpackbits(np.frombuffer(mask, dtype=np.uint8), bitorder="little")[:vocab_size]
    allowed = np.zeros(vocab_size, dtype=np.bool_)
    allowed[: len(bits)] = bits
    return torch.from_numpy(allowed)
