"""What needs a person is found by its state: five messages that failed, however many are held.

Revision: 0003.
"""

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TROUBLE = text("state = 'unknown' OR state = 'failed' OR state = 'held'")


def _put(*columns: str) -> None:
    op.create_index("ix_outbox_trouble", "outbox", list(columns), sqlite_where=_TROUBLE, postgresql_where=_TROUBLE)


def upgrade() -> None:
    """Let the state lead. A program of before works on either."""
    op.drop_index("ix_outbox_trouble", "outbox")
    _put("state", "id")


def downgrade() -> None:
    """Bring the old order back."""
    op.drop_index("ix_outbox_trouble", "outbox")
    _put("id")
