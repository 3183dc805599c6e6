"""DBOS doing what ours does: an update is a durable workflow in a queue, with one transaction of the same rows."""

import asyncio
import os
from functools import cache
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, SQLAlchemyDatasource

from bench import fair
from bench.contender import Values, say, told
from bench.watching import Stopwatch, memory_mb

QUEUE = "updates"
_VERSION = "bench"
_where: list[str] = []


@cache
def _data() -> SQLAlchemyDatasource:
    return SQLAlchemyDatasource.create(_where[0], {"pool_size": 8, "max_overflow": 0})


@DBOS.workflow(name="take")
def take(raw: str) -> None:
    """Take one update, durably."""
    _data().run_tx_step({"name": "rows", "isolation_level": "READ COMMITTED"}, _rows, raw)


def _rows(raw: str) -> None:
    fair.take_in(_data().sql_session(), raw)


def _driver(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://", 1)


def _config(uri: str) -> DBOSConfig:
    return {
        "name": "bench",
        "system_database_url": _driver(uri),
        "application_version": _VERSION,
        "log_level": "ERROR",
        "sys_db_pool_size": 10,
    }


def prepare(uri: str, customers: int) -> None:
    """Make its tables and those of the peer, and enqueue one workflow for each customer's update."""
    _where[:] = [_driver(uri)]
    engine = fair.engine(uri)
    fair.create(engine)
    fair.fill(engine, customers)
    _data()
    DBOS(config=_config(uri))
    DBOS.launch()
    DBOS.destroy()
    client = DBOSClient(system_database_url=_driver(uri))
    options: Any = {"queue_name": QUEUE, "workflow_name": "take", "app_version": _VERSION}
    with engine.begin() as connection:
        for each in range(customers):
            client.enqueue_in_transaction(connection, options, fair.update(each))


async def worker(uri: str, beside: int) -> Values:
    """Work, `beside` workflows at once, from when we are told until we are told again."""
    _where[:] = [_driver(uri)]
    await asyncio.to_thread(_data)
    say("ready")
    await told()
    watch = Stopwatch()
    await asyncio.to_thread(_launch, uri, beside)
    await told()
    values = watch.values(1)
    say({"cpu_seconds": values["cpu_ms"] / 1000, "rss_mb": memory_mb()})
    # Ending it in order would wait for all that is queued.
    os._exit(0)


def _launch(uri: str, beside: int) -> None:
    """Its queue takes, at each look, as many as may run: so it is let run more than it has connections for."""
    DBOS(config=_config(uri))
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=8 * beside, polling_interval_sec=0.05)
