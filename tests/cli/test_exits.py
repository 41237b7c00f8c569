"""Exit statuses: one for each kind of problem."""

import pytest

from penstock import errors
from penstock.cli.exits import ExitCode, exit_code_for


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.InvalidParameter, 2),
        (errors.PromptTooLong, 2),
        (errors.ConfigError, 3),
        (errors.RecipeError, 3),
        (errors.ModelNotFound, 4),
        (errors.ModelUnavailable, 4),
        (errors.UnsupportedModel, 4),
        (errors.EngineFailed, 1),
        (errors.PenstockError, 1),
    ],
)
def test_each_error_has_the_status_that_scripts_rely_on(
    kind: type[errors.PenstockError], status: int
) -> None:
    assert exit_code_for(kind("problem.", "hint.")) == status


def test_an_error_that_is_not_listed_has_the_status_of_what_it_inherits_from() -> None:
    class OfflineModel(errors.ModelUnavailable):
        pass

    assert exit_code_for(OfflineModel("problem.", "hint.")) is ExitCode.MODEL_MISSING
