"""The tables of limits, of what was used, and of what was generated, with its full-text search.

The search is a table of the database's own kind, which its triggers keep: a row of the history and
its words are one transaction, whoever writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# FTS5 with its text in `history`; the number of a row is the same in both.
SQLITE = (
    """
    CREATE VIRTUAL TABLE history_search USING fts5(
        prompt, text, content='history', content_rowid='number',
        tokenize='unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TRIGGER history_search_add AFTER INSERT ON history BEGIN
        INSERT INTO history_search (rowid, prompt, text)
        VALUES (new.number, new.prompt, new.text);
    END
    """,
    """
    CREATE TRIGGER history_search_remove AFTER DELETE ON history BEGIN
        INSERT INTO history_search (history_search, rowid, prompt, text)
        VALUES ('delete', old.number, old.prompt, old.text);
    END
    """,
)
# A tsvector holds at most a megabyte, so of a very long text only the beginning is found.
POSTGRESQL = (
    """
    CREATE TABLE history_search (
        number integer NOT NULL CONSTRAINT pk_history_search PRIMARY KEY
            CONSTRAINT fk_history_search_number_history
            REFERENCES history (number) ON DELETE CASCADE,
        words tsvector NOT NULL
    )
    """,
    "CREATE INDEX ix_history_search_words ON history_search USING gin (words)",
    """
    CREATE FUNCTION history_search_add() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO history_search (number, words) VALUES (
            NEW.number, to_tsvector('simple', left(NEW.prompt || ' ' || NEW.text, 100000))
        );
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER history_search_add AFTER INSERT ON history
    FOR EACH ROW EXECUTE FUNCTION history_search_add()
    """,
)


def upgrade() -> None:
    op.create_table(
        "limits",
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_limits"),
    )
    op.create_table(
        "usage",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("num_requests", sa.BigInteger(), nullable=False),
        sa.Column("num_unfinished", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "day", "model", "key_id", name="pk_usage"),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_index("ix_conversations_owner_changed_at", "conversations", ["owner", "changed_at"])
    op.create_table(
        "history",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("texts", sa.JSON()),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("receipt", sa.String(64)),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_history"),
        sa.UniqueConstraint("id", name="uq_history_id"),
    )
    op.create_index("ix_history_owner_created_at", "history", ["owner", "created_at"])
    op.create_index("ix_history_created_at", "history", ["created_at"])
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE if is_sqlite else POSTGRESQL:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.execute("DROP TABLE history_search")
    op.drop_table("history")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION history_search_add")
    for table in ("conversations", "usage", "limits"):
        op.drop_table(table)
