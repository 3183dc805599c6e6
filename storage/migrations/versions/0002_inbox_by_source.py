"""The inbox is looked through by source, so that staff never wait behind a burst of orders.

Revision: 0002.
"""

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NEW = text("state = 'new'")


def upgrade() -> None:
    """Add the index."""
    op.create_index(
        "ix_inbox_source", "inbox", ["source", "id"], sqlite_where=_NEW, postgresql_where=_NEW
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_index("ix_inbox_source", "inbox")
