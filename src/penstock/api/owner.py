"""Whose things a request is about. There are no accounts yet: all belongs to one local owner."""

from typing import Annotated

from fastapi import Depends

LOCAL_OWNER = "local"


def _owner() -> str:
    return LOCAL_OWNER


OwnerDep = Annotated[str, Depends(_owner)]
