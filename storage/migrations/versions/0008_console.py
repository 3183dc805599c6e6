"""The console: passes to its door, and the newest sales found without sorting them all.

Revision: 0008.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.AutoString()
_TIME = sqlmodel.UTCDateTime()


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "passes",
        sa.Column("hash", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("role", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("member", _TEXT, nullable=True),
        sa.Column("used_at", _TIME, nullable=True),
        sa.CheckConstraint("kind IN ('link', 'session')", name=op.f("ck_passes_kind")),
        sa.CheckConstraint("role IN ('admin', 'staff', 'reader')", name=op.f("ck_passes_role")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_passes")),
    )
    op.create_index("ix_passes_expires_at", "passes", ["expires_at"])
    op.create_index("ix_sales_latest_at", "sales", ["latest_at", "id"])


def downgrade() -> None:
    """Take it back."""
    op.drop_index("ix_sales_latest_at", "sales")
    op.drop_table("passes")
