"""From the settings to who does jobs and how they hear of them."""

from importlib.util import find_spec

from penstock.api.services import Lasting, MakeDispatch, does_its_own
from penstock.errors import ConfigError
from penstock.jobs.dispatch import Elsewhere
from penstock.scale.broker import Broker
from penstock.scale.consuming import Consumer
from penstock.scale.publishing import Publisher
from penstock.settings import Settings


def for_server(settings: Settings, lasting: Lasting) -> MakeDispatch:
    """How a server has its jobs done. Raises `ConfigError`."""
    match settings.executor:
        case "embedded":
            return does_its_own
        case "separate":
            return lambda _: Elsewhere()
        case "celery":
            broker = _broker(settings)
            return lambda executor: Publisher(
                broker, lasting.storage, lasting.queue, executor.kinds
            )


def for_executor(settings: Settings, lasting: Lasting) -> MakeDispatch:
    """How an executor's process hears of jobs. Raises `ConfigError`."""
    if settings.executor != "celery":
        return does_its_own
    broker = _broker(settings)
    return lambda executor: Consumer(
        broker,
        executor,
        Publisher(broker, lasting.storage, lasting.queue, executor.kinds),
        max_jobs=lasting.jobs_at_once,
    )


def _broker(settings: Settings) -> Broker:
    if settings.broker_url is None:
        raise ConfigError(
            "executor=celery needs a broker.",
            "Set PENSTOCK_BROKER_URL, as redis://host/0 or amqp://user:password@host//.",
            param="broker_url",
        )
    if find_spec("celery") is None:
        raise ConfigError(
            "executor=celery needs Celery.", "Install it: pip install penstock[celery]."
        )
    return Broker(settings.broker_url.get_secret_value(), settings.broker_queue)
