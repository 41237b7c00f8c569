"""Every table there is. `migrations/` brings a database to this form; a test compares the two.

Times are seconds since 1970 by the database's clock.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
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
