"""Where a Prometheus server reads."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from penstock.api.services import ServicesDep
from penstock.errors import StorageUnavailable

router = APIRouter(tags=["discovery"])


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format."}},
)
async def show_metrics(services: ServicesDep) -> Response:
    """What requests took and how engines stand, for Prometheus. Holds no prompts and no names."""
    lasting = services.lasting
    try:
        async with lasting.storage.reading() as connection:
            services.metrics.note_jobs(await lasting.queue.num_by_state(connection))
    except StorageUnavailable:
        services.metrics.note_jobs(None)
    return Response(services.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
