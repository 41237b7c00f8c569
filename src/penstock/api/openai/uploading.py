"""Reads an upload's form: a file and what it is for. Nothing else is taken."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from penstock.api.playground.wire_types import HALF_PAIR
from penstock.api.problems import shown
from penstock.errors import InvalidParameter
from penstock.storage.contents import Incoming

UPLOAD_PATH = "/v1/files"
PURPOSES = ("batch", "fine-tune")
FORM_BYTES = 64 * 1024  # of a form besides its file
CHUNK_BYTES = 256 * 1024
LONGEST_NAME = 255
ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"
SHORTEST_LIFE, LONGEST_LIFE = 3600, 2592000  # seconds

UPLOAD_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "The file, with its name.",
                        },
                        "purpose": {
                            "type": "string",
                            "enum": list(PURPOSES),
                            "description": "Files for anything else are refused.",
                        },
                        ANCHOR: {
                            "type": "string",
                            "enum": ["created_at"],
                            "description": "The file's time begins when it is uploaded.",
                        },
                        SECONDS: {
                            "type": "integer",
                            "description": "It is kept for so long; else until it is deleted.",
                            "minimum": SHORTEST_LIFE,
                            "maximum": LONGEST_LIFE,
                        },
                    },
                }
            }
        },
    }
}

FORM = UPLOAD_SCHEMA["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
FIELDS: Mapping[str, str] = {name: field["description"] for name, field in FORM.items()}


@dataclass(frozen=True, slots=True)
class Upload:
    """A form that was checked."""

    filename: str
    purpose: str
    source: BinaryIO
    lifetime_seconds: int | None


async def read_form(request: Request) -> FormData:
    """The form. Its file lies on the disk where it is not small. Must be closed."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "multipart/form-data":
        raise HTTPException(
            415,
            f"The body is {media or 'of no stated type'}. Send Content-Type: multipart/form-data.",
        )
    return await request.form(max_files=1, max_fields=len(FIELDS), max_part_size=FORM_BYTES)


def checked(form: FormData, *, max_bytes: int) -> Upload:
    """What the form says. Raises `InvalidParameter`."""
    for name, _ in form.multi_items():
        if name not in FIELDS:
            raise InvalidParameter(
                f"{name[:40]!a} is not a field of this form.",
                f"Use {', '.join(FIELDS)}.",
                param=name[:40],
            )
        if len(form.getlist(name)) > 1:
            raise InvalidParameter(f"{name} is there twice.", "Send it once.", param=name)
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise InvalidParameter("file is missing.", "Send it as a file with a name.", param="file")
    purpose = form.get("purpose")
    if purpose not in PURPOSES:
        raise InvalidParameter(
            f"purpose={shown(purpose)} cannot be used.",
            f"Use {' or '.join(PURPOSES)}.",
            param="purpose",
        )
    if (file.size or 0) > max_bytes:
        raise InvalidParameter(
            f"The file has {file.size} bytes.",
            f"Send {max_bytes} or fewer, or raise PENSTOCK_LIMITS__MAX_UPLOAD_BYTES.",
            param="file",
        )
    return Upload(_name(file.filename), str(purpose), file.file, _lifetime(form))


async def copy(source: BinaryIO, incoming: Incoming) -> None:
    """Copy a file, on a thread."""

    def copy_all() -> None:
        while chunk := source.read(CHUNK_BYTES):
            incoming.write(chunk)

    await asyncio.to_thread(copy_all)


def _name(name: str | None) -> str:
    """A name is only ever shown."""
    if not name or len(name) > LONGEST_NAME or HALF_PAIR.search(name) or not name.isprintable():
        raise InvalidParameter(
            "The file's name cannot be used.",
            f"Use 1 to {LONGEST_NAME} printable characters.",
            param="file",
        )
    return name


def _lifetime(form: Mapping[str, object]) -> int | None:
    anchor, seconds = form.get(ANCHOR), form.get(SECONDS)
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise InvalidParameter(
            f"{ANCHOR}={shown(anchor)} cannot be used.", "Use created_at.", param=ANCHOR
        )
    is_number = isinstance(seconds, str) and seconds.isascii() and seconds.isdigit()
    if not is_number or not SHORTEST_LIFE <= int(str(seconds)[:12]) <= LONGEST_LIFE:
        raise InvalidParameter(
            f"{SECONDS}={shown(seconds)} is out of range.",
            f"Use {SHORTEST_LIFE} to {LONGEST_LIFE}.",
            param=SECONDS,
        )
    return int(str(seconds))
