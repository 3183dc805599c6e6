"""Several programs on one database: refused on SQLite, sharing the work on PostgreSQL."""

import asyncio
from pathlib import Path

import pytest

from bot.app.service import LOOK_FOR_DUTY
from bot.errors import ConfigurationError
from storage.database import open_database
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
