"""One send budget per bot, however many processes share it: judged by what Telegram saw arrive."""

from datetime import timedelta
from pathlib import Path

from tests.system.crowd import crowd, delivered, soon
from tests.system.stage import becomes, questions_to

ARRIVED = "Was everything as we promised?"
PER_SECOND = 8
GOES_ON_WITHIN_SECONDS = 15
UNDER_WAY = "SELECT id FROM outbox WHERE state IN ('waiting', 'sending') LIMIT 1"
LEASE_OVER = timedelta(minutes=5)


async def test_several_processes_keep_one_budget_whoever_dies(postgresql_url: str, tmp_path: Path) -> None:
    """Never more than the limit and one in any second, though the process that sends is killed and another takes over."""
    number = 120
    limit = ("--per-second", str(PER_SECOND))
    async with crowd(postgresql_url, tmp_path, customers=number) as (many, people):
        sales = [str(1000 + place) for place in range(number)]
        members = [await many.start(name, *limit) for name in ("first", "second", "third")]
        await many.happens(*delivered(sales, many.play.clock.now()))
        await many.rest()
        many.play.telegram.forget_pace()
        many.advance(timedelta(days=2))

        def asked() -> int:
            return sum(bool(questions_to(each, ARRIVED)) for each in people)

        async with many.time_passing():
            await becomes(lambda: asked() >= number // 4, within=60)
            # More than one sends, or one alone: whoever it is that dies, the others go on without a burst.
            sender = many.holder("telegram-sending")
            victim = next((each for each in members if each.name == sender), members[0])
            await victim.kill()
            many.advance(LEASE_OVER)
            had = asked()
            await becomes(lambda: asked() > had, within=GOES_ON_WITHIN_SECONDS)
            await many.start("fourth", *limit)
            await soon(lambda: not many.ask(UNDER_WAY), within=90)
        in_doubt = len(many.ask("SELECT id FROM outbox WHERE state = 'unknown'"))
        assert asked() >= number - in_doubt
        assert max(len(questions_to(each, ARRIVED)) for each in people) == 1
        assert many.play.telegram.worst_second() <= PER_SECOND + 1
