"""Reads a JSON file that came with a model; knows nothing of what it should hold."""

import json
from pathlib import Path
from typing import Any

from penstock.errors import ModelUnavailable, UnsupportedModel

MAX_JSON_BYTES = 64 * 2**20


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object in `path`; an error names a file that is missing, huge or broken."""
    text = _read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnsupportedModel(
            f"{path} is not valid JSON ({error}).", "Fetch the model's files again."
        ) from error
    if not isinstance(content, dict):
        raise UnsupportedModel(
            f"{path} holds a JSON {type(content).__name__} where an object belongs.",
            "Fetch the model's files again.",
        )
    return content


def read_json_object_if_present(path: Path) -> dict[str, Any]:
    """Return the object in `path`, or an empty one where there is no such file."""
    return read_json_object(path) if path.is_file() else {}


def _read_text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise UnsupportedModel(
                f"{path} has {size} bytes, far more than such a file needs.",
                f"Files of up to {MAX_JSON_BYTES} bytes are read.",
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UnsupportedModel(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).",
            "Fetch the model's files again.",
        ) from error
    except OSError as error:
        raise ModelUnavailable(
            f"{path} cannot be read ({error.strerror}).", "Check the model's folder."
        ) from error
