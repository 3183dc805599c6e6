"""A wake-up of APScheduler: with its SQLAlchemy job store, and in memory as in PTB's JobQueue. See `bench.wakeup`."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from telegram.ext import JobQueue

from bench import naive
from bench.claiming import DUE, EVERY, costs, timed
from bench.contender import Values
from bench.server import FIRST_CHAT, QUESTION
from bench.shop import ASKED, FAR


async def scheduler(waiting: int, wake_ups: int) -> Values:
    """APScheduler: its job store gives the hundred that are due and removes each, as its scheduler has it do.

    The jobs that wait are copies of one that it made, put into its table in bulk.
    """
    with naive.database() as engine:
        store = SQLAlchemyJobStore(engine=engine)
        planner = AsyncIOScheduler(jobstores={"default": store}, timezone=UTC)
        planner.start(paused=True)
        planner.add_job(naive.send, "date", run_date=FAR, args=[FIRST_CHAT, QUESTION], id=f"{0:032d}")
        with closing(engine.raw_connection()) as connection:
            cursor: Any = connection.cursor()
            (state,) = cursor.execute("SELECT job_state FROM apscheduler_jobs").fetchone()
            cursor.executemany(
                "INSERT INTO apscheduler_jobs (id, next_run_time, job_state) VALUES (?, ?, ?)",
                (
                    (
                        f"{n:032d}",
                        _due(n, wake_ups).timestamp(),
                        state.replace(f"{0:032d}".encode(), f"{n:032d}".encode()),
                    )
                    for n in range(1, DUE * wake_ups + waiting + 1)
                ),
            )
            connection.commit()
        values = _claimed_from(store, wake_ups)
        planner.shutdown(wait=False)
        return values


async def queue(waiting: int, wake_ups: int) -> Values:
    """JobQueue keeps its jobs in memory: they are gone when the process is. They are added as its users add them."""
    store = MemoryJobStore()
    jobs: JobQueue[Any] = JobQueue()
    jobs.scheduler.add_jobstore(store)
    jobs.scheduler.start(paused=True)
    for n in range(1, DUE * wake_ups + waiting + 1):
        jobs.run_once(_remind, _due(n, wake_ups), data=QUESTION, chat_id=FIRST_CHAT + n)
    values = _claimed_from(store, wake_ups)
    jobs.scheduler.shutdown(wait=False)
    return values


async def _remind(_context: Any) -> None:
    """Would send a message."""


def _due(number: int, wake_ups: int) -> datetime:
    """Let job `number` (from 1 on) be due: a hundred at each minute, the others far ahead."""
    place = (number - 1) // DUE
    return ASKED + EVERY * place if place < wake_ups else FAR


def _claimed_from(store: Any, wake_ups: int) -> Values:
    took: list[tuple[float, float]] = []
    for each in range(wake_ups):
        with timed(took):
            due = store.get_due_jobs(ASKED + EVERY * each)
            for job in due:
                store.remove_job(job.id)
            store.get_next_run_time()
        if len(due) != DUE:
            raise RuntimeError(f"{len(due)} were due instead of {DUE}")
    return costs(took)
