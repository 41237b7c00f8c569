"""What the exit status of a command says. Knows errors by their type, not where they come from."""

from enum import IntEnum

from penstock import errors


class ExitCode(IntEnum):
    """The statuses that scripts can rely on."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    BAD_CONFIGURATION = 3
    MODEL_MISSING = 4
    SERVER_UNREACHABLE = 5
    INTERRUPTED = 130
    TERMINATED = 143


BY_ERROR: dict[type[errors.PenstockError], ExitCode] = {
    errors.InvalidParameter: ExitCode.USAGE,
    errors.PromptTooLong: ExitCode.USAGE,
    errors.ConfigError: ExitCode.BAD_CONFIGURATION,
    errors.RecipeError: ExitCode.BAD_CONFIGURATION,
    errors.ModelNotFound: ExitCode.MODEL_MISSING,
    errors.ModelUnavailable: ExitCode.MODEL_MISSING,
    errors.UnsupportedModel: ExitCode.MODEL_MISSING,
    errors.UnknownJob: ExitCode.USAGE,
    errors.EvaluationError: ExitCode.BAD_CONFIGURATION,
    errors.EvaluationCancelled: ExitCode.INTERRUPTED,
    errors.UnknownRun: ExitCode.MODEL_MISSING,
    errors.AdapterNotFound: ExitCode.MODEL_MISSING,
    errors.UnsupportedAdapter: ExitCode.MODEL_MISSING,
}


def exit_code_for(error: errors.PenstockError) -> ExitCode:
    """The status for `error`: that of its own type or the nearest it inherits from."""
    for kind in type(error).__mro__:
        if kind in BY_ERROR:
            return BY_ERROR[kind]
    return ExitCode.FAILURE
