"""The naive way, as most would write it on a first afternoon.

python-telegram-bot as it comes, one APScheduler job per customer in its SQLAlchemy job store, one ORM transaction per
reply. Where its defaults would make it fail at these sizes, it is helped, so that there is something to measure: the
database is opened as ours is (WAL, synchronous FULL: faster than its default journal), a job may be late, and a call
may wait for a connection.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import Engine, create_engine, event
from sqlmodel import Field, Session, SQLModel
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import Application, CallbackContext, CallbackQueryHandler
from telegram.request import HTTPXRequest

from bench.server import FIRST_CHAT, QUESTION, TOKEN

NEXT = "Good to hear. And was it easy to be our customer – the information, the bill, the people you met?"
LABELS = ("👍 Yes", "🤔 Not quite", "📦 Not here yet")
PAST = datetime(2026, 1, 1, tzinfo=UTC)


class NaiveVerdict(SQLModel, table=True):
    """What a customer said."""

    id: int | None = Field(default=None, primary_key=True)
    chat_id: int
    choice: str
    promise: float
    at: datetime


class NaiveMessage(SQLModel, table=True):
    """What is to be said next, for the peer without a scheduler."""

    id: int | None = Field(default=None, primary_key=True)
    chat_id: int
    text: str
    due_at: datetime


@contextmanager
def database() -> Iterator[Engine]:
    """Open a new SQLite file with the pragmas that our own has."""
    with TemporaryDirectory(prefix="aftersale-bench-") as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'naive.db'}", connect_args={"check_same_thread": False})

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

        SQLModel.metadata.create_all(engine)
        try:
            yield engine
        finally:
            engine.dispose()


def record_reply(engine: Engine, chat_id: int, choice: str) -> None:
    """Store a verdict and the next message, in one transaction of an ORM session."""
    with Session(engine) as session:
        session.add(NaiveVerdict(chat_id=chat_id, choice=choice, promise=1, at=PAST))
        session.add(NaiveMessage(chat_id=chat_id, text=NEXT, due_at=PAST))
        session.commit()


# A job must be found by its name, in whichever process it runs, so what it needs lies in the module.
_bots: list[Bot] = []
sent: list[int] = []
"""The chats that were written to, in this process."""


def keyboard() -> InlineKeyboardMarkup:
    """Give three buttons, one to a row."""
    return InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=label)] for label in LABELS])


async def send(chat_id: int, text: str) -> None:
    """Do what a job does."""
    await _bots[-1].send_message(chat_id, text, reply_markup=keyboard())
    sent.append(chat_id)


@asynccontextmanager
async def bot(telegram: str) -> AsyncIterator[Bot]:
    """Open python-telegram-bot as it comes: httpx, 256 connections; a call may wait a minute for one (not a second)."""
    request = HTTPXRequest(pool_timeout=60, read_timeout=60, connect_timeout=60, write_timeout=60)
    async with Bot(TOKEN, base_url=f"{telegram}/bot", request=request) as opened:
        _bots.append(opened)
        yield opened
        _bots.remove(opened)


@asynccontextmanager
async def scheduler(engine: Engine) -> AsyncIterator[AsyncIOScheduler]:
    """Open an APScheduler with its SQLAlchemy job store, paused. A job may be late: by default it would be dropped."""
    opened = AsyncIOScheduler(
        jobstores={"default": SQLAlchemyJobStore(engine=engine)},
        job_defaults={"misfire_grace_time": None},
        timezone=UTC,
    )
    opened.start(paused=True)
    yield opened
    opened.shutdown(wait=False)
    await asyncio.sleep(0)


def plan(jobs: AsyncIOScheduler, number: int, due_at: datetime = PAST) -> None:
    """Plan one message each to `number` customers."""
    for each in range(number):
        jobs.add_job(send, "date", run_date=due_at, args=[FIRST_CHAT + each, QUESTION])


@asynccontextmanager
async def answering(telegram: str, engine: Engine) -> AsyncIterator[list[int]]:
    """Open a bot that takes replies; gives the list of chats whose verdict and next message are committed."""
    replied: list[int] = []
    async with scheduler(engine) as jobs, bot(telegram):

        async def tapped(update: Update, _context: CallbackContext[Any, Any, Any, Any]) -> None:
            query = update.callback_query
            if query is None or update.effective_chat is None:
                return
            chat_id, choice = update.effective_chat.id, query.data or ""
            await query.answer()
            with Session(engine) as session:
                session.add(NaiveVerdict(chat_id=chat_id, choice=choice, promise=1, at=PAST))
                session.commit()
            jobs.add_job(send, "date", run_date=PAST, args=[chat_id, NEXT])
            replied.append(chat_id)
            await query.edit_message_text(f"{QUESTION}\n\n➜ {choice}")

        application = Application.builder().token(TOKEN).base_url(f"{telegram}/bot").build()
        application.add_handler(CallbackQueryHandler(tapped))
        jobs.resume()
        async with application:
            await application.start()
            if application.updater is None:
                raise RuntimeError("the application cannot poll")
            await application.updater.start_polling(timeout=1)
            yield replied
            await application.updater.stop()
            await application.stop()
