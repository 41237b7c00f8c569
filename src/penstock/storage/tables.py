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
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    UniqueConstraint("owner", "kind", "idempotency_key"),
    Index(None, "state", "not_before"),
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
