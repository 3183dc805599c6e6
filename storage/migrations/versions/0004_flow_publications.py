"""What was published of each flow, in order: number, when, by whom, and why. History is only ever added to.

A version's content also keeps the sentences of the bot that it speaks with, and in which form of the language it is
written; what an older program keeps says neither. What was kept so far becomes the history's beginning.

Revision: 0004.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.AutoString()
_TIME = sqlmodel.UTCDateTime()


def upgrade() -> None:
    """Add the table and the two columns. A program of before goes on keeping versions, and knows nothing of numbers."""
    op.add_column("flow_versions", sa.Column("format", sa.Integer(), nullable=True))
    op.add_column("flow_versions", sa.Column("phrases", sa.JSON(), nullable=True))
    op.create_table(
        "flow_publications",
        sa.Column("flow", _TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", _TEXT, nullable=False),
        sa.Column("how", _TEXT, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("by", _TEXT, nullable=False),
        sa.Column("note", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("flow", "number", name=op.f("pk_flow_publications")),
    )
    op.execute(
        "INSERT INTO flow_publications (flow, number, version, how, at, by, note)"
        " SELECT flow, row_number() OVER (PARTITION BY flow ORDER BY created_at, version), version, 'start',"
        " created_at, '', '' FROM flow_versions"
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("flow_publications")
    with op.batch_alter_table("flow_versions") as table:
        table.drop_column("phrases")
        table.drop_column("format")
