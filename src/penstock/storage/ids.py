"""What the ids of rows look like. A database need not be asked about anything else."""

import re

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def may_be_id(text: str) -> bool:
    """Whether a row can have this id."""
    return ID.fullmatch(text) is not None
