"""Everything a user can cause to go wrong, said so that they can mend it.

Knows nothing of HTTP or the terminal: `api/errors.py` maps these to statuses, `cli` to exit codes.
"""


class PenstockError(Exception):
    """A problem the user can act on. `str(error)` says what went wrong and what to do next."""

    code = "internal_error"

    def __init__(self, problem: str, hint: str, *, param: str | None = None) -> None:
        super().__init__(f"{problem} {hint}")
        self.problem = problem
        self.hint = hint
        self.param = param


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
