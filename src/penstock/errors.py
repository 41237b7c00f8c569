"""Everything a user can cause to go wrong, said so that they can mend it.

Knows nothing of HTTP or the terminal: `api/errors.py` maps these to statuses, `cli` to exit codes.
"""

from typing import Self


class PenstockError(Exception):
    """A problem the user can act on. `str(error)` says what went wrong and what to do next."""

    code = "internal_error"

    def __init__(self, problem: str, hint: str, *, param: str | None = None) -> None:
        super().__init__(f"{problem} {hint}")
        self.problem = problem
        self.hint = hint
        self.param = param

    def in_words(self, problem: str, hint: str, *, param: str | None = None) -> Self:
        """The same error, told otherwise."""
        told = type(self).__new__(type(self))
        told.__dict__.update(self.__dict__)
        PenstockError.__init__(told, problem, hint, param=param)
        return told


class InvalidParameter(PenstockError):
    """A request field has a value that cannot be honoured."""

    code = "invalid_parameter"


class PromptTooLong(PenstockError):
    """The prompt and what is asked for do not fit the model's context."""

    code = "context_length_exceeded"


class ModelNotFound(PenstockError):
    """No catalog entry, alias, folder or hub id answers to this model name."""

    code = "model_not_found"


class ModelUnavailable(PenstockError):
    """The model is known but its files are missing, incomplete or cannot be fetched now."""

    code = "model_unavailable"


class ModelGated(ModelUnavailable):
    """The hub gives this model out only to accounts that accepted its terms."""

    code = "model_gated"


class HubUnreachable(ModelUnavailable):
    """The hub cannot be reached, or must not be: this machine is offline."""

    code = "hub_unreachable"


class NotEnoughDisk(ModelUnavailable):
    """The model's files do not fit the disk they would be kept on."""

    code = "not_enough_disk"


class ModelBusy(PenstockError):
    """The model is in use, so it cannot be unloaded or removed now."""

    code = "model_busy"


class NotAllowed(PenstockError):
    """This server does not let this client do that."""

    code = "not_allowed"


class NotSignedIn(PenstockError):
    """The request needs an access token or a key, or the one it carries is not valid."""

    code = "not_signed_in"


class WrongCredentials(PenstockError):
    """The user name, the password or the refresh token is wrong."""

    code = "wrong_credentials"


class PasswordChangeRequired(NotAllowed):
    """The password was given out by somebody else and must be changed before anything else."""

    code = "password_change_required"


class TooManyAttempts(PenstockError):
    """There were too many attempts to sign in that failed; so many seconds must pass."""

    code = "too_many_attempts"

    def __init__(
        self,
        problem: str,
        hint: str,
        *,
        param: str | None = None,
        retry_after_seconds: int = 60,
    ) -> None:
        super().__init__(problem, hint, param=param)
        self.retry_after_seconds = retry_after_seconds


class LimitReached(PenstockError):
    """The caller has used what they may of requests or tokens; more comes after so many seconds.

    `unit` is what there is no more of: requests, tokens or streams.
    """

    code = "rate_limit_exceeded"

    def __init__(
        self,
        problem: str,
        hint: str,
        *,
        param: str | None = None,
        unit: str = "requests",
        retry_after_seconds: int = 60,
    ) -> None:
        super().__init__(problem, hint, param=param)
        self.unit = unit
        self.retry_after_seconds = retry_after_seconds


class RequestOverLimit(PenstockError):
    """The request may come to more tokens than the caller may ever use at once."""

    code = "request_over_limit"


class UnknownGeneration(PenstockError):
    """No generation in the caller's history has this id."""

    code = "generation_not_found"


class UnknownUser(PenstockError):
    """No user has this id or name."""

    code = "user_not_found"


class UnknownKey(PenstockError):
    """No key of the caller has this id."""

    code = "key_not_found"


class NameTaken(PenstockError):
    """There is a user of this name already."""

    code = "name_taken"


class UnsupportedModel(PenstockError):
    """The model's files are of a kind that Penstock does not load, for the reason given."""

    code = "unsupported_model"


class AdapterNotFound(PenstockError):
    """No adapter has this name."""

    code = "adapter_not_found"


class UnsupportedAdapter(PenstockError):
    """The adapter is of a kind Penstock does not apply, or does not fit this model."""

    code = "unsupported_adapter"


class ResponseNotFound(PenstockError):
    """No stored response has this id."""

    code = "response_not_found"


class UnknownFile(PenstockError):
    """No file of the caller has this id."""

    code = "file_not_found"


class FileInUse(PenstockError):
    """A batch that is under way reads this file, so it cannot be deleted now."""

    code = "file_in_use"


class UnknownBatch(PenstockError):
    """No batch of the caller has this id."""

    code = "batch_not_found"


class TooManyJobs(PenstockError):
    """The caller has as many jobs under way as one may have."""

    code = "too_many_jobs"


class ReceiptNotFound(PenstockError):
    """No result that is kept has this receipt."""

    code = "receipt_not_found"


class UnknownJob(PenstockError):
    """There is no such job among the caller's."""

    code = "job_not_found"


class IdempotencyKeyReused(PenstockError):
    """The key was sent before, with another request."""

    code = "idempotency_key_reused"


class ReplayDiffers(PenstockError):
    """Something that decided a text is not as it was, so that it may come out another."""

    code = "replay_differs"


class ServerBusy(PenstockError):
    """Our capacity is used up; the same request may succeed in a moment."""

    code = "server_is_overloaded"


class StorageUnavailable(ServerBusy):
    """The server's database is locked, out of reach or out of space."""

    code = "storage_unavailable"


class NotEnoughMemory(ServerBusy):
    """The model does not fit the memory that is free, or that models may take."""

    code = "not_enough_memory"


class ShuttingDown(ServerBusy):
    """The server finishes what it has and takes nothing new."""

    code = "server_is_shutting_down"


class EngineFailed(PenstockError):
    """The request could not be computed, or the engine that held it ended."""

    code = "engine_failed"


class RequestCancelled(PenstockError):
    """The request was cancelled before it finished."""

    code = "request_cancelled"


class ConfigError(PenstockError):
    """The settings cannot be used as they are."""

    code = "invalid_configuration"


class RecipeError(PenstockError):
    """A training recipe or its data cannot be used as it is."""

    code = "invalid_recipe"


class EvaluationError(PenstockError):
    """An evaluation, its data or its report cannot be used as it is."""

    code = "invalid_evaluation"


class EvaluationCancelled(PenstockError):
    """The evaluation was cancelled before it finished."""

    code = "evaluation_cancelled"


class UnknownEvaluation(PenstockError):
    """No evaluation has this id."""

    code = "evaluation_not_found"


class UnknownRun(PenstockError):
    """No training run and no tuned model has this name."""

    code = "run_not_found"


class PromotionRefused(PenstockError):
    """A run may not be served: what is served would differ from it, or it is worse than before."""

    code = "promotion_refused"


class TrainingFailed(PenstockError):
    """A training run could not go on; what it saved before is whole."""

    code = "training_failed"
