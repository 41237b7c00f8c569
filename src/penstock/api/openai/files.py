"""`/v1/files`: the input and output of batches, and what models are tuned on."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import FileResponse

from penstock.api.openai.lists import After, shown_list, without_nothing
from penstock.api.openai.routing import FAILURES, OpenAIRoute
from penstock.api.openai.uploading import UPLOAD_SCHEMA, checked, copy, read_form
from penstock.api.owner import OwnerDep
from penstock.api.permission import check_origin
from penstock.api.services import ServicesDep
from penstock.storage.files import NewFile, StoredFile
from penstock.storage.paging import Page

MOST_FILES = 10_000

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])


@router.post(
    "/files",
    summary="Upload a file",
    responses=FAILURES,
    openapi_extra=UPLOAD_SCHEMA,
    dependencies=[Depends(check_origin)],  # a form is what any page may send
)
async def create_file(request: Request, services: ServicesDep, owner: OwnerDep) -> dict[str, Any]:
    """Keep the requests of a batch or what a model is tuned on, one JSON object per line."""
    files = services.lasting.files
    form = await read_form(request)
    try:
        upload = checked(form, max_bytes=services.lasting.max_upload_bytes)
        incoming = files.begin()
        try:
            await copy(upload.source, incoming)
        except BaseException:
            incoming.drop()
            raise
    finally:
        await form.close()
    new = NewFile(
        owner=owner,
        purpose=upload.purpose,
        filename=upload.filename,
        lifetime_seconds=upload.lifetime_seconds,
    )
    return shown_file(await files.add(new, incoming))


@router.get("/files", summary="The files there are", responses=FAILURES)
async def list_files(
    *,
    services: ServicesDep,
    owner: OwnerDep,
    purpose: Annotated[str | None, Query(max_length=32, description="Only of these.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_FILES, description="At most so many.")] = MOST_FILES,
    order: Annotated[
        Literal["asc", "desc"], Query(description="`desc` has the newest first.")
    ] = "desc",
    after: After = None,
) -> dict[str, Any]:
    """Uploaded files, and what batches wrote."""
    page = Page(limit=limit, after=after, order=order)
    files, has_more = await services.lasting.files.page(owner, page, purpose)
    return shown_list([shown_file(file) for file in files], has_more=has_more)


@router.get("/files/{file_id}", summary="One file", responses=FAILURES)
async def retrieve_file(file_id: str, services: ServicesDep, owner: OwnerDep) -> dict[str, Any]:
    """What is known of the file."""
    return shown_file(await services.lasting.files.get(owner, file_id))


@router.get("/files/{file_id}/content", summary="A file's content", responses=FAILURES)
async def download_file(file_id: str, services: ServicesDep, owner: OwnerDep) -> FileResponse:
    """The file as it is."""
    files = services.lasting.files
    file = await files.get(owner, file_id)
    return FileResponse(files.path(file), media_type="application/octet-stream")


@router.delete("/files/{file_id}", summary="Delete a file", responses=FAILURES)
async def delete_file(file_id: str, services: ServicesDep, owner: OwnerDep) -> dict[str, Any]:
    """Gone for good, unless a batch that is under way reads it."""
    file = await services.lasting.batches.remove_file(owner, file_id)
    return {"id": file.id, "object": "file", "deleted": True}


def shown_file(file: StoredFile) -> dict[str, Any]:
    """A file as OpenAI shows one."""
    return without_nothing(
        {
            "id": file.id,
            "object": "file",
            "bytes": file.num_bytes,
            "created_at": int(file.created_at),
            "expires_at": None if file.expires_at is None else int(file.expires_at),
            "filename": file.filename,
            "purpose": file.purpose,
            "status": "processed",
        }
    )
