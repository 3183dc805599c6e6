"""What staff ask from Slack, answered from the database: read only, without locks; pausing and resuming beside.

No drawing, and no rule of cases: those are the adapter's and the use cases'.
"""

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from bot import boards, cases, holding
from bot.app.program import Program
from bot.app.story import why_lines
from bot.messages import languages_for
from bot.ports.board import Answers, Board, CaseFacts, Found, Running
from bot.ports.store import UnitOfWork
from storage.reports import SqlReports

CASES_MAX = 2_000
"""How many cases are looked at for the home tab."""
FOUND_MAX = 9


class DeskAnswers(Answers):
    """Answers for one program."""

    def __init__(self, program: Program, problems: Callable[[], list[str]]) -> None:
        """Answer from the program's database; `problems` tells what is not well just now."""
        self._program, self._problems = program, problems
        self._house = program.house

    async def facts(self, case_id: str) -> CaseFacts | None:
        """Give what a form says about a case."""
        seen = await self._program.database.read(lambda reports: reports.case_seen(case_id))
        if seen is None:
            return None
        customer, case = seen.customer, seen.case
        language = next(iter(languages_for(self._house, customer)), "")
        return CaseFacts(
            customer.name or customer.id,
            language,
            case.team,
            case.sale_id,
            seen.sale.summary,
            case.said,
            case.fell_back is not None,
        )

    async def task_team(self, case_id: str, task_id: str) -> str | None:
        """Give the team that is asked for a task."""
        seen = await self._program.database.read(lambda reports: reports.case_seen(case_id))
        tasks = seen.case.tasks if seen else ()
        return next((each.team for each in tasks if each.id == task_id), None)

    async def compose(self, case_id: str, name: str, text: str) -> str:
        """Give a reply exactly as the customer would get it."""
        return await self._program.database.run(lambda uow: cases.compose(uow, self._house, case_id, name, text))

    async def board(self, user: str, teams: Sequence[str]) -> Board:
        """Give what a member of staff sees first."""
        now = self._house.clock.now()
        zone = ZoneInfo(self._house.shop.time_zone)
        midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)

        def look(reports: SqlReports) -> Board:
            seen, figures = reports.unsettled_cases(CASES_MAX), reports.case_figures(teams, midnight, now)
            return boards.board_of(self._house, user, teams, seen, figures, now)

        return await self._program.database.read(look)

    async def running(self) -> Running:
        """Give how the program is."""
        found = await self._program.database.run(lambda uow: uow.pauses())
        whole = next((each for each in found if each.scope == "all"), None)
        return Running(tuple(self._problems()), holding.words_for(whole, self._house) if whole else None)

    async def pause(self, user: str) -> None:
        """Hold what the bot would say of its own accord."""
        now = self._house.clock.now()
        await self._program.database.run(
            lambda uow: holding.pause(uow, self._house, now, scope="all", reason="paused from Slack", by=user)
        )

    async def resume(self, user: str) -> None:
        """End the pause of everything; where nothing is paused, nothing happens."""
        now = self._house.clock.now()

        def work(uow: UnitOfWork) -> None:
            if any(each.scope == "all" for each in uow.pauses()):
                holding.resume(uow, self._house, now, scope="all", by=user)

        await self._program.database.run(work)
        self._program.wake()

    async def why(self, order: str) -> Sequence[str]:
        """Say why which message of a sale was sent, or not."""
        now = self._house.clock.now()
        return await self._program.database.run(lambda uow: why_lines(uow, self._house, order, now))

    async def find(self, text: str) -> Sequence[Found]:
        """Give the sales that a search finds."""
        now = self._house.clock.now()

        def look(reports: SqlReports) -> list[Found]:
            sales = reports.sales(text=text, limit=FOUND_MAX)
            names = reports.names_of({each.customer_id for each in sales})
            standing = reports.cases_of_sales({each.id for each in sales})
            posts = reports.posts_of({each.id for each in standing.values()})
            cards = {case_id: (post.channel, post.ts) for case_id, post in posts.items()}
            return boards.found_of(self._house, sales, names, standing, cards, now)

        return await self._program.database.read(look)
