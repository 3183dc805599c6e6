"""Several programs on one database: refused on SQLite, sharing the work on PostgreSQL."""

import asyncio
import time
from pathlib import Path

import pytest

from bot.app.service import ANSWERED_WITHIN, LOOK_FOR_DUTY
from bot.errors import ConfigurationError
from storage.database import open_database
from storage.duties import SILENCE
from tests.databases import PostgresqlTemplate, SqliteTemplate
from tests.system.stage import stage


async def test_a_second_program_on_one_sqlite_file_is_refused(sqlite_template: SqliteTemplate, tmp_path: Path) -> None:
    """It would take the first one's messages for those of a dead program; so it is told what to do instead."""
    url = sqlite_template.fresh(tmp_path)
    async with stage(url):
        with pytest.raises(ConfigurationError, match="another aftersale already runs"):
            async with stage(url):
                pass
    async with stage(url):
        pass


def test_a_duty_has_one_holder_and_moves_when_that_one_goes(postgresql_template: PostgresqlTemplate) -> None:
    """Of two programs one polls; when it ends, the other takes over."""
    with postgresql_template.fresh() as url:
        first, second = open_database(url), open_database(url)
        try:
            assert first.duties.hold("polling")
            assert first.duties.hold("polling")
            assert not second.duties.hold("polling")
            first.close()
            assert second.duties.hold("polling")
        finally:
            first.close()
            second.close()


def test_duties_are_given_up_one_by_one_and_take_nothing_from_the_pool(
    postgresql_template: PostgresqlTemplate,
) -> None:
    """With one place in the pool, three duties are held and work goes on; one dropped is free, the others are not."""
    with postgresql_template.fresh() as url:
        first, second = open_database(url, workers=1), open_database(url)
        try:
            names = ("polling", "telegram-sending", "slack-sending")
            assert all(first.duties.hold(name) for name in names)
            first.duties.drop("polling")
            first.duties.drop("never held")
            first.run_now(lambda uow: uow.put_note("still", "at work"))
            assert first.run_now(lambda uow: uow.note("still")) == "at work"
            assert [second.duties.hold(name) for name in names] == [True, False, False]
            assert not first.duties.hold("polling")
        finally:
            first.close()
            second.close()


def test_a_holder_whose_connection_is_cut_notices_and_may_take_it_again(
    postgresql_template: PostgresqlTemplate,
) -> None:
    """The server was restarted, say: at its next look the holder knows that it has lost everything."""
    with postgresql_template.fresh() as url:
        first, second = open_database(url), open_database(url)
        try:
            assert first.duties.hold("polling")
            assert first.duties.hold("sending")
            cut = (
                "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE locktype = 'advisory' AND datname = current_database()"
            )
            second.run_now(lambda uow: uow._connection.exec_driver_sql(cut))
            assert not first.duties.hold("polling")
            assert second.duties.hold("sending")
            assert not first.duties.hold("sending")
            assert first.duties.hold("polling")
        finally:
            first.close()
            second.close()


def test_a_holder_that_is_not_heard_of_loses_its_duties(postgresql_template: PostgresqlTemplate) -> None:
    """A program that hangs keeps its connection: the server ends it, and another program can go on."""
    with postgresql_template.fresh() as url:
        first, second = open_database(url), open_database(url)
        try:
            assert first.duties.hold("sending")
            began = time.monotonic()
            while not second.duties.hold("sending"):
                assert time.monotonic() - began < 60
                time.sleep(0.5)
            assert time.monotonic() - began > SILENCE.total_seconds() - 1
            assert not first.duties.hold("sending")
        finally:
            first.close()
            second.close()


def test_who_is_cut_off_stops_polling_before_the_duty_can_be_had() -> None:
    """Proves that the spans leave a few seconds between the last question of one holder and the first of the next."""
    assert SILENCE.total_seconds() - 3 >= LOOK_FOR_DUTY + ANSWERED_WITHIN


async def test_the_program_takes_the_polling_duty_and_gives_it_back(postgresql_template: PostgresqlTemplate) -> None:
    """While one program runs, another cannot poll; once it has stopped, the next can at once."""
    with postgresql_template.fresh() as url:
        other = open_database(url)
        try:
            async with stage(url) as play:
                await asyncio.sleep(LOOK_FOR_DUTY / 10)
                assert play.program.database.duties.hold("telegram-polling")
                assert not other.duties.hold("telegram-polling")
            assert other.duties.hold("telegram-polling")
        finally:
            other.close()
