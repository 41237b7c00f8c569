"""Who tells executors of the jobs that requests start and cancel."""

from fastapi import Request

from penstock.jobs.dispatch import Dispatch


def dispatch_of(request: Request) -> Dispatch:
    """The application's."""
    dispatch: Dispatch = request.app.state.dispatch
    return dispatch
