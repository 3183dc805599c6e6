"""The fault campaign in short: a few seeds, each with its share of what can go wrong, on both databases, by both ways in.

Long and with new seeds: `make faults`. What the books can find is shown in tests/campaign.
"""

import pytest

from tests.campaign.storm import campaign

SHARES = 4
"""Campaigns among which the faults are dealt out, so that together they play each of them at least once."""


@pytest.mark.parametrize("doors", ["polling", "http"])
@pytest.mark.parametrize(
    ("database_url", "share"),
    [("sqlite", 0), ("postgres", 1), ("sqlite", 2), ("postgres", 3)],
    indirect=["database_url"],
)
async def test_the_books_balance_after_a_storm(database_url: str, share: int, doors: str) -> None:
    """People act, everything fails, programs are killed at every step; afterwards nothing is lost, doubled or unexplained."""
    processes = 1 if database_url.startswith("sqlite") else 2
    report = await campaign(
        database_url,
        f"share {share}",
        processes=processes,
        called=doors == "http",
        buyers=6,
        part=(share, SHARES),
    )
    told = "\n".join(report.lines())
    assert not report.problems, told
    assert not report.missing, told
