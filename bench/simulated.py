"""The story of sixty simulated days of one flow, all guards included, as `aftersale flows test` plays a test."""

from datetime import UTC, datetime, timedelta

from bot.adapters.flow_files import FlowFiles
from bot.adapters.shop_file import default_shop
from bot.trials.parse import DEFAULT_SALE
from bot.trials.simulation import Given, Simulation

DAYS = timedelta(days=60)
START = datetime(2026, 11, 20, 19, 50, tzinfo=UTC)
"""Ten minutes to nine in the evening in Copenhagen: some questions become due by day, some at night."""


def sixty_days(flows: FlowFiles) -> Simulation:
    """Play after_first_use: three times "not yet" and "too early", two reminders, two nights, a case, an answer."""
    played = Simulation(default_shop(), flows, Given(DEFAULT_SALE, START), taking_part=["after_first_use"])
    played.happens("order.delivered")
    for days, *answers in ((4, "not_yet"), (0, "not_yet"), (4, "yes", "too_early"), (4, "partly")):
        played.go_to_next_said(START + 2 * DAYS)
        played.go(played.now + timedelta(days=days))
        for answer in answers:
            played.taps(answer)
    played.writes("It is corked")
    played.go(played.now + timedelta(hours=14))
    played.claims()
    played.replies("We send you another one today.")
    played.go(START + DAYS)
    return played
