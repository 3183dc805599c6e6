"""Pauses: who holds what since when, and until when; kept, because a question's clock stood still meanwhile.

Revision: 0005.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.AutoString()
_TIME = sqlmodel.UTCDateTime()
_RUNNING = sa.text("ended_at IS NULL")
_HELD = sa.text("state = 'held'")


def upgrade() -> None:
    """Add the table, and an index by which what is held is found whatever it waits for."""
    op.create_table(
        "pauses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scope", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("by", _TEXT, nullable=False),
        sa.Column("until", _TIME, nullable=True),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_pauses"),
    )
    op.create_index(
        "ix_pauses_running", "pauses", ["scope", "name"], unique=True,
        sqlite_where=_RUNNING, postgresql_where=_RUNNING,
    )  # fmt: skip
    op.create_index("ix_moments_held", "moments", ["id"], sqlite_where=_HELD, postgresql_where=_HELD)


def downgrade() -> None:
    """Take both away."""
    op.drop_index("ix_moments_held", "moments")
    op.drop_table("pauses")
