"""From the settings to limits, usage and history; and from a request that ended to its row."""

import json

from penstock.accounts.credentials import new_id
from penstock.accounts.limits.counting import Counts, MemoryCounts
from penstock.accounts.limits.limiter import Limiter
from penstock.accounts.limits.limits import WINDOWS, Limits
from penstock.accounts.limits.redis_counts import RedisCounts
from penstock.accounts.limits.store import LimitStore
from penstock.accounts.usage import UsageStore
from penstock.api.receipts.receipt import decided_of, name_of
from penstock.api.services import Records
from penstock.serving.observing import Ended
from penstock.serving.records.history import HistoryStore, Kept
from penstock.serving.records.ledger import LOCAL_OWNER, Ledger
from penstock.settings import Settings
from penstock.storage.database import Storage

PARAMETERS = frozenset(
    {
        "strategy",
        "params",
        "num_sequences",
        "max_new_tokens",
        "min_new_tokens",
        "stop",
        "seed",
        "adapter",
    }
)


def build_records(settings: Settings, storage: Storage) -> Records:
    """What is written down under these settings, and the limits that hold."""
    usage = UsageStore(storage)
    history = HistoryStore(storage, days_kept=settings.limits.days_history_kept)
    return Records(
        limiter=Limiter(LimitStore(storage), _counts(settings), default_limits(settings)),
        usage=usage,
        history=history,
        ledger=Ledger(storage, usage, history, make_kept),
        keeps_history=settings.history,
    )


def default_limits(settings: Settings) -> Limits:
    """What every user may take for whom nothing else was set."""
    return Limits(**{name: getattr(settings.limits, name) for name in WINDOWS})


def _counts(settings: Settings) -> Counts:
    url = settings.limits_url
    return MemoryCounts() if url is None else RedisCounts(url.get_secret_value())


def make_kept(ended: Ended, now: float) -> Kept | None:
    """The row of what was generated; none where nothing was, or where it is not to be kept."""
    started, model = ended.written.started, ended.model
    texts = [_storable(text) for text in ended.written.texts]
    if not (ended.caller.keeps_history and any(texts)) or started is None or model is None:
        return None
    prompt = ended.request.prompt
    decided = decided_of(ended.request, started, model)
    return Kept(
        id=f"hist_{new_id()}",
        owner=ended.caller.owner or LOCAL_OWNER,
        key_id=ended.caller.key_id,
        created_at=now,
        model=ended.model_id[:255],
        outcome=ended.outcome.value,
        prompt=_storable(prompt if isinstance(prompt, str) else json.dumps(list(prompt))),
        text="\n\n".join(texts),
        texts=texts if len(texts) > 1 else None,
        parameters=decided.model_dump(mode="json", include=set(PARAMETERS), exclude_none=True),
        receipt=name_of(decided),
        prompt_tokens=ended.used.prompt_tokens,
        completion_tokens=ended.used.completion_tokens,
        seconds=ended.seconds,
    )


def _storable(text: str) -> str:
    """As a database can hold it: PostgreSQL takes no NUL, and nothing takes half a surrogate."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
