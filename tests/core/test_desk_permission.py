"""Who may work on a case, and how kindly it is said to whoever may not."""

from dataclasses import replace

import pytest

from bot.adapters.shop_file import default_shop
from bot.desk.permission import Person, refusal
from bot.desk.shop import Shop

METTE, JONAS, LEAD, OWNER = "U0METTE", "U0JONAS", "U0LEAD", "U0OWNER"


def the_shop(*members: str) -> Shop:
    shop = default_shop()
    wine = replace(shop.teams["wine"], lead=LEAD, members=members)
    return replace(shop, cx_owner=OWNER, teams={**shop.teams, "wine": wine})


@pytest.mark.parametrize(
    ("shop", "person", "said"),
    [
        pytest.param(the_shop(METTE), Person(METTE), None, id="a member"),
        pytest.param(the_shop(METTE), Person(LEAD), None, id="the lead, named or not"),
        pytest.param(the_shop(METTE), Person(OWNER, in_channel=False), None, id="the CX owner opens any case"),
        pytest.param(
            the_shop(METTE), Person(JONAS, in_channel=True), "not among its members", id="in the channel only"
        ),
        pytest.param(the_shop(), Person(JONAS, in_channel=True), None, id="no list: whoever is in the channel"),
        pytest.param(the_shop(), Person(JONAS, in_channel=False), "join #wine first", id="no list, not in the channel"),
        pytest.param(the_shop(), Person(JONAS), None, id="Slack could not say: a colleague may"),
        pytest.param(the_shop(METTE), Person(METTE, is_guest=True), "Guests", id="a guest, even a named one"),
        pytest.param(
            the_shop(METTE), Person(OWNER, is_stranger=True), "this workspace", id="a stranger, whoever it is"
        ),
    ],
)
def test_only_whom_the_team_allows_may_work_on_its_cases(shop: Shop, person: Person, said: str | None) -> None:
    """Members, lead and CX owner may; guests and strangers never; everybody else is told whom to ask."""
    told = refusal(shop, "wine", person)
    assert (told is None) == (said is None)
    assert said is None or (told is not None and said in told)


def test_a_team_that_is_no_more_is_the_fallback_channels() -> None:
    """A case of a team that shop.yaml no longer has is for whoever is in the fallback channel."""
    assert refusal(the_shop(METTE), "gone", Person(JONAS, in_channel=True)) is None
