"""All tables, as they first were.

Revision: 0001, the first.
"""

from typing import Any

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sqlmodel.AutoString()
_TIME = sqlmodel.UTCDateTime()
_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT_COMMIT: dict[str, Any] = {"deferrable": True, "initially": "DEFERRED"}

_TABLES = (
    "customers",
    "flow_versions",
    "inbox",
    "log",
    "notes",
    "outbox",
    "sales",
    "cases",
    "conversations",
    "link_tokens",
    "promises",
    "case_posts",
    "moments",
    "verdicts",
)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "customers",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("locale", _TEXT, nullable=True),
        sa.Column("country", _TEXT, nullable=True),
        sa.Column("time_zone", _TEXT, nullable=True),
        sa.Column("chat_id", sa.BigInteger(), nullable=True),
        sa.Column("chat_locale", _TEXT, nullable=True),
        sa.Column("language", _TEXT, nullable=True),
        sa.Column("linked_at", _TIME, nullable=True),
        sa.Column("consents", sa.JSON(), nullable=False),
        sa.Column("stopped_at", _TIME, nullable=True),
        sa.Column("unreachable_at", _TIME, nullable=True),
        sa.Column("last_wrote_at", _TIME, nullable=True),
        sa.Column("last_question_at", _TIME, nullable=True),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("chat_id", name=op.f("uq_customers_chat_id")),
    )
    op.create_table(
        "flow_versions",
        sa.Column("flow", _TEXT, nullable=False),
        sa.Column("version", _TEXT, nullable=False),
        sa.Column("source", _TEXT, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("flow", "version", name=op.f("pk_flow_versions")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("source", _TEXT, nullable=False),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("lane", _TEXT, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", _TEXT, nullable=True),
        sa.CheckConstraint("source IN ('shop', 'telegram', 'slack')", name=op.f("ck_inbox_source")),
        sa.CheckConstraint("state IN ('new', 'done', 'ignored', 'failed')", name=op.f("ck_inbox_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("source", "key", name=op.f("uq_inbox_source_key")),
    )
    op.create_index("ix_inbox_failed", "inbox", ["id"], **_where("state = 'failed'"))
    op.create_index("ix_inbox_lane", "inbox", ["lane", "id"], **_where("state = 'new'"))
    op.create_index("ix_inbox_new", "inbox", ["id"], **_where("state = 'new'"))
    op.create_table(
        "log",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("sale_id", _TEXT, nullable=True),
        sa.Column("customer_id", _TEXT, nullable=True),
        sa.Column("case_id", _TEXT, nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log")),
    )
    op.create_index(op.f("ix_log_customer_id"), "log", ["customer_id"])
    op.create_index(op.f("ix_log_sale_id"), "log", ["sale_id"])
    op.create_table(
        "notes",
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("value", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_notes")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("channel", _TEXT, nullable=False),
        sa.Column("lane", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("not_before", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("purpose", _TEXT, nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", _TIME, nullable=True),
        sa.Column("sent_at", _TIME, nullable=True),
        sa.Column("external", _TEXT, nullable=True),
        sa.Column("sale_id", _TEXT, nullable=True),
        sa.Column("customer_id", _TEXT, nullable=True),
        sa.Column("conversation_id", _TEXT, nullable=True),
        sa.Column("case_id", _TEXT, nullable=True),
        sa.Column("turn", sa.Integer(), nullable=True),
        sa.CheckConstraint("channel IN ('telegram', 'slack')", name=op.f("ck_outbox_channel")),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'sent', 'unknown', 'refused', 'dropped', 'held', 'failed')",
            name=op.f("ck_outbox_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
    )
    op.create_index(
        "ix_outbox_due", "outbox", ["channel", "priority", "not_before", "id"], **_where("state = 'waiting'")
    )
    op.create_index("ix_outbox_lane", "outbox", ["lane", "id"], **_where("state = 'waiting' OR state = 'sending'"))
    op.create_index("ix_outbox_lease", "outbox", ["lease_until", "id"], **_where("state = 'sending'"))
    op.create_index("ix_outbox_question", "outbox", ["conversation_id", "turn"], **_where("kind = 'question'"))
    op.create_index(op.f("ix_outbox_sale_id"), "outbox", ["sale_id"])
    op.create_index(
        "ix_outbox_trouble", "outbox", ["id"], **_where("state = 'unknown' OR state = 'failed' OR state = 'held'")
    )
    op.create_table(
        "sales",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("customer_id", _TEXT, nullable=False),
        sa.Column("summary", _TEXT, nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("stage", _TEXT, nullable=False),
        sa.Column("happened", sa.JSON(), nullable=False),
        sa.Column("latest_at", _TIME, nullable=True),
        sa.Column("factors", sa.JSON(), nullable=False),
        sa.Column("asked_at", _TIME, nullable=True),
        sa.Column("answered_at", _TIME, nullable=True),
        sa.Column("confirmed_at", _TIME, nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_sales_customer_id"), **_AT_COMMIT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sales")),
    )
    op.create_index("ix_sales_customer_id_latest_at", "sales", ["customer_id", "latest_at"])
    op.create_table(
        "cases",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("sale_id", _TEXT, nullable=False),
        sa.Column("customer_id", _TEXT, nullable=False),
        sa.Column("conversation_id", _TEXT, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("team", _TEXT, nullable=False),
        sa.Column("why_team", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("said", _TEXT, nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("due_reason", _TEXT, nullable=False),
        sa.Column("factor", _TEXT, nullable=True),
        sa.Column("touchpoint", _TEXT, nullable=True),
        sa.Column("promise_id", _TEXT, nullable=True),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("claimed_by", _TEXT, nullable=True),
        sa.Column("claimed_at", _TIME, nullable=True),
        sa.Column("answered_at", _TIME, nullable=True),
        sa.Column("remedies", sa.JSON(), nullable=False),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.CheckConstraint("reason IN ('unhappy', 'unclear')", name=op.f("ck_cases_reason")),
        sa.CheckConstraint(
            "status IN ('open', 'claimed', 'remedied', 'call', 'unconfirmed', 'confirmed')",
            name=op.f("ck_cases_status"),
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_cases_customer_id"), **_AT_COMMIT),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_cases_sale_id"), **_AT_COMMIT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
    )
    op.create_index(op.f("ix_cases_conversation_id"), "cases", ["conversation_id"])
    op.create_index(op.f("ix_cases_customer_id"), "cases", ["customer_id"])
    op.create_index("ix_cases_open", "cases", ["due_at"], **_where("status NOT IN ('confirmed', 'unconfirmed')"))
    op.create_index(op.f("ix_cases_sale_id"), "cases", ["sale_id"])
    op.create_table(
        "conversations",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("sale_id", _TEXT, nullable=False),
        sa.Column("customer_id", _TEXT, nullable=False),
        sa.Column("flow", _TEXT, nullable=False),
        sa.Column("version", _TEXT, nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("case_id", _TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_conversations_customer_id"), **_AT_COMMIT
        ),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_conversations_sale_id"), **_AT_COMMIT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
        sa.UniqueConstraint("key", name=op.f("uq_conversations_key")),
    )
    op.create_index(op.f("ix_conversations_customer_id"), "conversations", ["customer_id"])
    op.create_index(op.f("ix_conversations_sale_id"), "conversations", ["sale_id"])
    op.create_table(
        "link_tokens",
        sa.Column("hash", _TEXT, nullable=False),
        sa.Column("sale_id", _TEXT, nullable=False),
        sa.Column("customer_id", _TEXT, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME, nullable=True),
        sa.Column("used_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_link_tokens_customer_id"), **_AT_COMMIT
        ),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_link_tokens_sale_id"), **_AT_COMMIT),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_link_tokens")),
    )
    op.create_index(op.f("ix_link_tokens_customer_id"), "link_tokens", ["customer_id"])
    op.create_index(op.f("ix_link_tokens_sale_id"), "link_tokens", ["sale_id"])
    op.create_table(
        "promises",
        sa.Column("sale_id", _TEXT, nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("text", _TEXT, nullable=False),
        sa.Column("touchpoint", _TEXT, nullable=True),
        sa.Column("made_by", _TEXT, nullable=True),
        sa.Column("due_at", _TIME, nullable=True),
        sa.Column("state", _TEXT, nullable=False),
        sa.CheckConstraint("state IN ('open', 'kept', 'broken')", name=op.f("ck_promises_state")),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_promises_sale_id"), **_AT_COMMIT),
        sa.PrimaryKeyConstraint("sale_id", "id", name=op.f("pk_promises")),
    )
    op.create_table(
        "case_posts",
        sa.Column("case_id", _TEXT, nullable=False),
        sa.Column("channel", _TEXT, nullable=False),
        sa.Column("ts", _TEXT, nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_posts_case_id"), **_AT_COMMIT),
        sa.PrimaryKeyConstraint("case_id", "channel", "ts", name=op.f("pk_case_posts")),
    )
    op.create_index("ix_case_posts_live", "case_posts", ["case_id"], unique=True, **_where("live"))
    op.create_table(
        "moments",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("sale_id", _TEXT, nullable=False),
        sa.Column("conversation_id", _TEXT, nullable=True),
        sa.Column("case_id", _TEXT, nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=True),
        sa.CheckConstraint("state IN ('planned', 'held', 'done', 'dropped')", name=op.f("ck_moments_state")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_moments_case_id"), **_AT_COMMIT),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_moments_conversation_id"), **_AT_COMMIT
        ),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_moments_sale_id"), **_AT_COMMIT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_moments")),
        sa.UniqueConstraint("key", name=op.f("uq_moments_key")),
    )
    op.create_index(op.f("ix_moments_case_id"), "moments", ["case_id"])
    op.create_index(op.f("ix_moments_conversation_id"), "moments", ["conversation_id"])
    op.create_index("ix_moments_due", "moments", ["due_at", "id"], **_where("state = 'planned'"))
    op.create_index(op.f("ix_moments_sale_id"), "moments", ["sale_id"])
    op.create_table(
        "verdicts",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("sale_id", _TEXT, nullable=False),
        sa.Column("conversation_id", _TEXT, nullable=False),
        sa.Column("flow", _TEXT, nullable=False),
        sa.Column("step", _TEXT, nullable=False),
        sa.Column("choice", _TEXT, nullable=True),
        sa.Column("factors", sa.JSON(), nullable=False),
        sa.Column("touchpoint", _TEXT, nullable=True),
        sa.Column("text", _TEXT, nullable=False),
        sa.Column("media", sa.JSON(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_verdicts_conversation_id"), **_AT_COMMIT
        ),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_verdicts_sale_id"), **_AT_COMMIT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
    )
    op.create_index(op.f("ix_verdicts_conversation_id"), "verdicts", ["conversation_id"])
    op.create_index(op.f("ix_verdicts_sale_id"), "verdicts", ["sale_id"])


def downgrade() -> None:
    """Bring the schema back."""
    for table in reversed(_TABLES):
        op.drop_table(table)
