"""Every table there is. `migrations/` brings a database to this form; a test compares the two.

Times are seconds since 1970 by the database's clock.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

ID = String(64)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", ID, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("payload", JSON(none_as_null=True), nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("error", String(2000)),
    Column("idempotency_key", String(256)),
    Column("attempts", Integer, nullable=False),  # since the job last got on
    Column("token", Integer, nullable=False),  # grows with every claim; only its latest may write
    Column("executor", String(128)),
    Column("lease_until", Double),
    Column("not_before", Double, nullable=False),
    Column("cancel_requested", Boolean(create_constraint=False), nullable=False),
    Column("num_events", Integer, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    UniqueConstraint("owner", "kind", "idempotency_key"),
    Index(None, "state", "not_before"),
    Index(None, "owner", "created_at"),
)

job_events = Table(  # what happened to a job, numbered from 1
    "job_events",
    metadata,
    Column("job_id", ID, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("event", String(16), nullable=False),
    Column("details", JSON(none_as_null=True), nullable=False),
    Column("at", Double, nullable=False),
)

webhooks = Table(  # who wants to be told of a job's end
    "webhooks",
    metadata,
    Column("job_id", ID, primary_key=True),
    Column("url", String(2000), nullable=False),
    Column("secret", String(256), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Double),  # none before the job's end and after the last attempt
    Column("delivered_at", Double),
    Column("last_error", String(500)),
    Index(None, "not_before"),
)

files = Table(
    "files",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", ID, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("filename", String(255), nullable=False),
    Column("num_bytes", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Index(None, "owner", "created_at"),
    Index(None, "digest"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", ID, nullable=False),
    Column("job_id", ID, nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("input_file_id", ID, nullable=False),
    Column("completion_window", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("errors", JSON(none_as_null=True)),
    Column("output_file_id", ID),
    Column("error_file_id", ID),
    Column("output_lifetime_seconds", Integer),
    Column("labels", JSON(none_as_null=True)),
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("times", JSON(none_as_null=True), nullable=False),  # of each change, by its name
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index(None, "owner", "created_at"),
    Index(None, "input_file_id"),
)

batch_results = Table(  # of batches that are under way; a line has one
    "batch_results",
    metadata,
    Column("batch_id", ID, primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("is_error", Boolean(create_constraint=False), nullable=False),
    Column("content", Text, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", ID, primary_key=True),
    Column("username", String(64), nullable=False),
    Column("name_key", String(64), nullable=False),  # the name in lower case
    Column("email", String(254)),
    Column("full_name", String(200)),
    Column("password_hash", String(512), nullable=False),
    Column("role", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("must_change_password", Boolean(create_constraint=False), nullable=False),
    Column("token_version", Integer, nullable=False),  # access tokens of an earlier one are void
    Column("created_at", Double, nullable=False),
    Column("signed_in_at", Double),
    UniqueConstraint("name_key"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("user_id", ID, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("digest", String(64), nullable=False),  # of the only secret that is good now
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("ended_at", Double),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("user_id", ID, nullable=False),
    Column("label", String(100), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", String(200), nullable=False),  # separated by spaces
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("used_at", Double),
    Column("revoked_at", Double),
    Index(None, "user_id", "created_at"),
)

attempts = Table(  # to sign in, by account, source or device; those that succeeded are taken back
    "attempts",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("num_failed", Integer, nullable=False),
    Column("since", Double, nullable=False),
    Column("blocked_until", Double, nullable=False),
    Index(None, "blocked_until"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", ID, primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("event", String(32), nullable=False),
    Column("actor", ID, nullable=False),  # whose doing it was: a user, "local", "operator"
    Column("subject", ID),  # the user it was done to
    Column("source", String(64), nullable=False),  # the address it came from
    Column("detail", String(200)),
    Index(None, "created_at"),
)

limits = Table(  # that were set for one user or key, instead of the server's own
    "limits",
    metadata,
    Column("subject", String(80), primary_key=True),
    Column("limits", JSON(none_as_null=True), nullable=False),
)

usage = Table(  # what was used, added up
    "usage",
    metadata,
    Column("owner", ID, primary_key=True),
    Column("day", String(10), primary_key=True),  # in UTC
    Column("model", String(255), primary_key=True),
    Column("key_id", ID, primary_key=True),  # empty: without a key
    Column("num_requests", BigInteger, nullable=False),
    Column("num_unfinished", BigInteger, nullable=False),  # of these, cancelled or failed
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", ID, nullable=False),
    Column("title", String(200), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Index(None, "owner", "changed_at"),
)

history = Table(  # what was generated; beside it the database keeps `history_search`
    "history",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", ID, nullable=False),
    Column("owner", ID, nullable=False),
    Column("key_id", ID, nullable=False),  # empty: without a key
    Column("conversation_id", ID),
    Column("created_at", Double, nullable=False),
    Column("model", String(255), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("text", Text, nullable=False),  # of several texts, all of them
    Column("texts", JSON(none_as_null=True)),  # of several texts, each
    Column("parameters", JSON(none_as_null=True), nullable=False),
    Column("receipt", ID),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    UniqueConstraint("id"),
    Index(None, "owner", "created_at"),
    Index(None, "created_at"),
)
