"""procrastinate doing what ours does: an update is a job, its task one transaction of the same rows (`bench.fair`)."""

import asyncio
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import procrastinate
import psycopg

from bench import fair
from bench.claiming import costs, timed
from bench.contender import Values, say, told
from bench.server import FIRST_CHAT, QUESTION
from bench.watching import Stopwatch, memory_mb

IN_LIFE = datetime(2100, 1, 1, tzinfo=UTC)
"""When what waits would be due."""

_blueprint = procrastinate.Blueprint()
_where: list[str] = []


@_blueprint.task(name="take", queue="updates", pass_context=False)
def take(raw: str) -> None:
    """Take one update. A plain function: procrastinate runs it in a thread."""
    fair.take(_engine(_where[0]), raw)


@_blueprint.task(name="send", queue="messages")
def send(chat_id: int, text: str) -> None:
    """Would send a message."""


def app(uri: str) -> procrastinate.App:
    """Give the app over this database."""
    _where[:] = [uri]
    made = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=uri, max_size=10))
    made.add_tasks_from(_blueprint, namespace="bench")
    return made


_engine = cache(fair.engine)


def prepare(uri: str, customers: int = 0) -> None:
    """Make procrastinate's tables, and those of the peer with so many customers who were asked."""

    async def apply() -> None:
        opened = app(uri)
        async with opened.open_async():
            await opened.schema_manager.apply_schema_async()

    asyncio.run(apply())
    if customers:
        fair.create(_engine(uri))
        fair.fill(_engine(uri), customers)
        _defer_all(uri, customers)


def _defer_all(uri: str, customers: int) -> None:
    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        copy = "COPY procrastinate_jobs (queue_name, task_name, args) FROM STDIN"
        with cursor.copy(copy) as rows:
            for each in range(customers):
                rows.write_row(("updates", "bench:take", json.dumps({"raw": fair.update(each)})))


def fill_waiting(uri: str, due: int, waiting: int) -> None:
    """Put jobs that are due, and then those that only wait, into the table, past its triggers: in bulk."""
    args = json.dumps({"chat_id": FIRST_CHAT, "text": QUESTION})
    with psycopg.connect(uri) as connection:
        connection.execute("SET session_replication_role = replica")
        for number, at in ((due, datetime(2026, 1, 1, tzinfo=UTC)), (waiting, IN_LIFE)):
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args, scheduled_at) "
                "SELECT 'messages', 'bench:send', %s::jsonb, %s FROM generate_series(1, %s)",
                (args, at, number),
            )
        connection.commit()
        connection.execute("ANALYZE procrastinate_jobs")


# Contenders, each in a process of its own ---------------------------------------------------------------------------


async def claimed(uri: str, wake_ups: int, due: int) -> Values:
    """Fetch the due ones as its worker does: one call of its function for each."""
    took: list[tuple[float, float]] = []
    opened = app(uri)
    async with opened.open_async():
        worker = await opened.job_manager.register_worker()
        for _ in range(wake_ups):
            with timed(took):
                for _ in range(due):
                    if await opened.job_manager.fetch_job(["messages"], worker) is None:
                        raise RuntimeError("nothing was due")
    return costs(took)


async def planned(uri: str, number: int, group: int) -> Values:
    """Defer `number` jobs, `group` in one call."""
    opened = app(uri)
    async with opened.open_async():
        later = opened.configure_task("bench:send", queue="messages", schedule_at=IN_LIFE)
        given: dict[str, Any] = {"chat_id": FIRST_CHAT, "text": QUESTION}
        watch = Stopwatch()
        for _ in range(0, number, group):
            if group == 1:
                await later.defer_async(**given)
            else:
                await later.batch_defer_async(*([given] * group))
        return {**watch.values(number), "rss_mb": memory_mb()}


async def worker(uri: str, beside: int) -> Values:
    """Work, `beside` jobs at once, from when we are told until we are told again."""
    opened = app(uri)
    async with opened.open_async():
        say("ready")
        await told()
        watch = Stopwatch()
        working = asyncio.create_task(
            opened.run_worker_async(
                queues=["updates"], concurrency=beside, install_signal_handlers=False, listen_notify=False,
                fetch_job_polling_interval=0.05,
            )
        )  # fmt: skip
        await told()
        values = watch.values(1)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return {"cpu_seconds": values["cpu_ms"] / 1000, "rss_mb": memory_mb()}
