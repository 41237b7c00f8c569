"""A Celery application whose only message is a job's id. Celery is imported when it is made."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

logger = logging.getLogger(__name__)

TASK = "penstock.do"
SOCKET_SECONDS = 3  # a broker that does not answer is done without
VISIBILITY_SECONDS = 3600  # then an id that nobody confirmed is handed out again; harmless


class Broker:
    """Where ids are put and taken. All of it blocks."""

    def __init__(self, url: str, queue: str) -> None:
        from celery import Celery

        self.queue = queue
        self.app: Any = Celery("penstock", broker=url, set_as_current=False)
        self.app.conf.update(
            accept_content=["json"],
            task_serializer="json",
            task_default_queue=queue,
            task_ignore_result=True,
            task_acks_late=True,
            task_reject_on_worker_lost=True,
            task_track_started=False,
            worker_prefetch_multiplier=1,
            worker_hijack_root_logger=False,
            worker_enable_remote_control=False,
            worker_send_task_events=False,
            broker_connection_retry_on_startup=True,
            broker_connection_max_retries=None,
            broker_connection_timeout=SOCKET_SECONDS,
            broker_transport_options={
                "visibility_timeout": VISIBILITY_SECONDS,
                "socket_timeout": SOCKET_SECONDS,
                "socket_connect_timeout": SOCKET_SECONDS,
            },
        )

    def register(self, do: Callable[[str], None]) -> None:
        """What is done with each id that is taken."""
        self.app.set_default()  # Celery's threads look for the task in the default application
        self.app.task(do, name=TASK, shared=False)

    def publish(self, job_ids: Sequence[str]) -> None:
        """Put ids. Raises whatever the broker's client does."""
        with self.app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=SOCKET_SECONDS)
            with self.app.amqp.Producer(connection) as producer:
                for job_id in job_ids:
                    self.app.send_task(TASK, args=[job_id], producer=producer, retry=False)

    def num_waiting(self) -> int:
        """How many ids wait to be taken. Raises whatever the broker's client does."""
        with self.app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=SOCKET_SECONDS)
            with connection.channel() as channel:
                queue = self.app.amqp.queues[self.queue].bind(channel)
                return int(queue.queue_declare().message_count)
