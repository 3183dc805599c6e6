"""A fair peer for a reply: one ORM transaction per update that reads and writes the rows that ours does.

Its tables are those of any shop that thinks about it for a day: customer, sale, conversation, verdict, message, log,
with the indexes that the reads need. It has no inbox, no guards, no core that decides: the answer to the first question
is written in. What it leaves out, only helps it.
"""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Engine, create_engine, select
from sqlalchemy.orm import Session as SqlSession
from sqlmodel import Field, Session, SQLModel, col

from bench.server import FIRST_CHAT, QUESTION

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
NEXT = "Good to hear. And was it easy to be our customer – the information, the bill, the people you met?"


class FairCustomer(SQLModel, table=True):
    """Who bought."""

    id: str = Field(primary_key=True)
    name: str
    chat_id: int = Field(unique=True, sa_type=BigInteger)
    consents: dict[str, bool] = Field(sa_type=JSON)
    last_wrote_at: datetime | None = None


class FairSale(SQLModel, table=True):
    """What they bought."""

    id: str = Field(primary_key=True)
    customer_id: str = Field(foreign_key="faircustomer.id", index=True)
    summary: str
    factors: dict[str, float] = Field(sa_type=JSON)
    answered_at: datetime | None = None


class FairConversation(SQLModel, table=True):
    """How far the conversation is."""

    id: str = Field(primary_key=True)
    sale_id: str = Field(foreign_key="fairsale.id", index=True)
    customer_id: str = Field(foreign_key="faircustomer.id", index=True)
    state: dict[str, Any] = Field(sa_type=JSON)


class FairVerdict(SQLModel, table=True):
    """What they said."""

    id: int | None = Field(default=None, primary_key=True)
    sale_id: str = Field(foreign_key="fairsale.id", index=True)
    conversation_id: str = Field(foreign_key="fairconversation.id", index=True)
    choice: str
    factors: dict[str, float] = Field(sa_type=JSON)
    at: datetime


class FairMessage(SQLModel, table=True):
    """What is to be sent."""

    id: int | None = Field(default=None, primary_key=True)
    chat_id: int = Field(index=True, sa_type=BigInteger)
    kind: str
    body: dict[str, Any] = Field(sa_type=JSON)
    state: str
    due_at: datetime = Field(index=True)


class FairLog(SQLModel, table=True):
    """What happened."""

    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    kind: str
    sale_id: str = Field(index=True)
    data: dict[str, Any] = Field(sa_type=JSON)


def fill(engine: Engine, number: int) -> None:
    """Let so many customers have been asked their first question."""
    with engine.begin() as connection:
        for table, rows in (
            (FairCustomer, [
                {"id": f"c-{n}", "name": "Freja Holm", "chat_id": FIRST_CHAT + n, "consents": {"service": True}}
                for n in range(number)
            ]),
            (FairSale, [
                {"id": f"s-{n}", "customer_id": f"c-{n}", "summary": "two bottles of Barolo", "factors": {}}
                for n in range(number)
            ]),
            (FairConversation, [
                {"id": f"{n:016d}", "sale_id": f"s-{n}", "customer_id": f"c-{n}", "state": {"turn": 1}}
                for n in range(number)
            ]),
        ):  # fmt: skip
            connection.execute(SQLModel.metadata.tables[str(table.__tablename__)].insert(), rows)


def update(number: int) -> str:
    """Give what Telegram sends when customer `number` taps the first button, as JSON."""
    chat = {"id": FIRST_CHAT + number, "first_name": "Freja", "type": "private"}
    return json.dumps(
        {
            "update_id": number,
            "callback_query": {
                "id": str(number),
                "from": {"id": FIRST_CHAT + number, "is_bot": False, "first_name": "Freja"},
                "message": {"message_id": number, "chat": chat, "date": 1, "text": QUESTION},
                "data": f"a:{number:016d}:1:0",
            },
        }
    )


def create(engine: Engine) -> None:
    """Make the tables."""
    names = ("faircustomer", "fairsale", "fairconversation", "fairverdict", "fairmessage", "fairlog")
    SQLModel.metadata.create_all(engine, [SQLModel.metadata.tables[name] for name in names])


def engine(uri: str) -> Engine:
    """Open PostgreSQL for it."""
    return create_engine(uri.replace("postgresql://", "postgresql+psycopg://", 1), pool_size=8, max_overflow=0)


def take(engine: Engine, raw: str) -> None:
    """Take one update in a transaction of its own."""
    with Session(engine) as session:
        take_in(session, raw)
        session.commit()


def take_in(session: SqlSession, raw: str) -> None:
    """Take one update: read what it concerns, write what follows. Committing is the caller's."""
    query = json.loads(raw)["callback_query"]
    conversation = session.get_one(FairConversation, query["data"].split(":")[1])
    customer = session.scalars(select(FairCustomer).where(col(FairCustomer.chat_id) == query["from"]["id"])).one()
    sale = session.get_one(FairSale, conversation.sale_id)
    factors = {"promise": 1.0}
    buttons = [
        [{"label": label, "data": f"a:{conversation.id}:2:{place}"}] for place, label in enumerate(("👍", "🧾", "🙁"))
    ]
    question = {"chat_id": customer.chat_id, "text": NEXT, "buttons": buttons}
    edit = {"message_id": query["message"]["message_id"], "text": f"{query['message']['text']}\n\n➜ 👍 Yes"}
    session.add(FairVerdict(sale_id=sale.id, conversation_id=conversation.id, choice="yes", factors=factors, at=NOW))
    for kind, body in (("question", question), ("edit", edit)):
        session.add(FairMessage(chat_id=customer.chat_id, kind=kind, body=body, state="waiting", due_at=NOW))
    session.add(FairLog(at=NOW, kind="verdict", sale_id=sale.id, data={"step": "arrived", "factors": factors}))
    conversation.state = {**conversation.state, "turn": 2, "step": "dealing"}
    sale.factors, sale.answered_at = {**sale.factors, **factors}, NOW
    customer.last_wrote_at = NOW
