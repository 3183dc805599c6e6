"""What the desk keeps of a case: that it is put aside, tasks for other teams, photos, why to call, a channel that failed.

Revision: 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what an older program neither writes nor asks for."""
    op.add_column("cases", sa.Column("snooze", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("cases", sa.Column("tasks", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("cases", sa.Column("media", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("cases", sa.Column("call_reason", sa.String(), nullable=True))
    op.add_column("cases", sa.Column("fell_back", sa.String(), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    for column in ("fell_back", "call_reason", "media", "tasks", "snooze"):
        op.drop_column("cases", column)
