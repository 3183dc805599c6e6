"""Routing: whose an unhappy reply is, which rule won and why the others did not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.shop_file import default_shop
from bot.desk.routing import Clues, explain, route, rules_of
from bot.desk.shop import RoutingRule, Shop

SHOP = default_shop()


def ruled(*rules: RoutingRule) -> Shop:
    return replace(SHOP, routing=rules)


def test_the_four_sales_of_the_story_reach_their_teams() -> None:
    """In the shipped example wine, dress, skincare and invoice each go to the people who can put them right."""
    assert route(SHOP, Clues("product", "quality", ("wine",))).team == "wine"
    assert route(SHOP, Clues("product", "promise", ("fashion", "dress"))).team == "fashion"
    assert route(SHOP, Clues(factor="quality", tags=("skincare",))).team == "skincare"
    invoice = route(SHOP, Clues("invoice", "clarity", ("wine",)))
    assert (invoice.team, invoice.channel, invoice.why) == (
        "accounting",
        "#accounting",
        "touchpoint invoice → accounting",
    )
    assert route(SHOP, Clues("delivery", "promise", ("wine",))).team == "delivery"


def test_a_factor_comes_after_the_touchpoint_and_before_the_tags() -> None:
    """A touchpoint that nobody answers for leaves it to the factor; only then the tags are asked."""
    wine = replace(SHOP.teams["wine"], factors=frozenset({"service"}))
    shop = replace(SHOP, teams={**SHOP.teams, "wine": wine})
    assert route(shop, Clues("support", "service", ("skincare",))).why == "factor service → wine"
    assert route(shop, Clues("delivery", "service")).team == "delivery"
    assert route(shop, Clues("support", "quality", ("skincare",))).why == "tag skincare → skincare"


def test_a_broken_promise_goes_to_the_touchpoint_that_made_it() -> None:
    """Whatever the reply itself names, whoever promised answers for it; where nobody does, the reply's touchpoint counts."""
    made = route(SHOP, Clues("product", "promise", ("wine",), made_at="delivery"))
    assert (made.team, made.why) == ("delivery", "broken promise made by delivery → delivery")
    assert route(SHOP, Clues("delivery", "promise", ("wine",), made_at="site")).team == "delivery"
    assert route(SHOP, Clues(None, "promise", ("wine",), made_at="site")).team == "wine"


def test_a_broken_promise_comes_before_any_number_of_other_conditions() -> None:
    """A rule that asks for much never takes a broken promise away from whoever made it."""
    shop = ruled(RoutingRule("skincare", "delivery", "promise", "wine"))
    assert route(shop, Clues("delivery", "promise", ("wine",), made_at="invoice")).team == "accounting"


def test_the_more_a_rule_asks_for_the_sooner_it_wins() -> None:
    """Touchpoint, factor, tag and shop may be asked for together; the most specific rule that fits wins."""
    shop = ruled(
        RoutingRule("fashion", factor="quality", tag="wine"),
        RoutingRule("accounting", touchpoint="delivery", tag="wine"),
        RoutingRule("skincare", touchpoint="delivery", tag="wine", shop="aarhus"),
    )
    assert route(shop, Clues("delivery", "quality", ("wine",))).why == "touchpoint delivery + tag wine → accounting"
    assert route(shop, Clues("delivery", "quality", ("wine",), "aarhus")).team == "skincare"
    assert route(shop, Clues("product", "quality", ("wine",), "aarhus")).why == "factor quality + tag wine → fashion"
    assert route(shop, Clues("delivery", "clarity")).team == "delivery"


def test_the_first_tag_that_somebody_answers_for_decides() -> None:
    """Tags are asked in their order; unknown ones are passed over."""
    assert route(SHOP, Clues(tags=("gift", "skincare", "wine"))).team == "skincare"


def test_what_nobody_answers_for_goes_to_the_fallback_channel_and_says_so() -> None:
    """Nothing is ever without a channel."""
    lost = route(SHOP, Clues("site", "clarity", ("books",)))
    assert (lost.team, lost.channel) == ("fallback", "#customers")
    assert lost.why == "no team answers for touchpoint site, factor clarity, tag books → fallback channel"
    assert route(SHOP, Clues()).why == "nothing says whose it is → fallback channel"


def test_the_explanation_names_the_winner_and_why_each_other_rule_did_not_win() -> None:
    """Whoever asks why reads one line for each rule: the winner, those that fit as well, and what the rest lack."""
    shop = ruled(RoutingRule("fashion", "delivery", tag="wine", where="line 40 of shop.yaml"))
    told = explain(shop, Clues("delivery", "quality", ("wine",)))
    assert [(each.rule.team, each.wins) for each in told[:3]] == [
        ("fashion", True),
        ("delivery", False),
        ("wine", False),
    ]
    assert told[0].rule.where == "line 40 of shop.yaml"
    assert told[1].why == "fits, but touchpoint delivery + tag wine comes before it: it asks for more"
    lacking = {each.why for each in told[3:]}
    assert "asks for touchpoint invoice; it is delivery" in lacking
    assert "nothing that was bought has the tag skincare" in lacking


@pytest.mark.parametrize(
    ("rules", "clues", "reason"),
    [
        pytest.param((), Clues("delivery", tags=("wine",)), "a touchpoint comes first", id="touchpoint before tag"),
        pytest.param((), Clues(tags=("wine", "skincare")), "the order names that tag first", id="order of tags"),
        pytest.param(
            (),
            Clues("delivery", "promise", made_at="invoice"),
            "it is the touchpoint that made the broken promise",
            id="who promised",
        ),
        pytest.param(
            (RoutingRule("fashion", shop="aarhus"),),
            Clues(tags=("wine",), shop="aarhus"),
            "a tag comes before a shop",
            id="tag before shop",
        ),
        pytest.param(
            (RoutingRule("fashion", factor="service"),),
            Clues(factor="service", tags=("wine",)),
            "a factor comes before a tag",
            id="factor before tag",
        ),
    ],
)
def test_of_two_rules_that_fit_it_is_said_which_comes_first_and_why(
    rules: tuple[RoutingRule, ...], clues: Clues, reason: str
) -> None:
    """Each step of the documented order is the reason that is given where it decides."""
    second = explain(ruled(*rules), clues)[1]
    assert not second.wins
    assert second.why.endswith(reason)


CLUES = st.builds(
    Clues,
    st.sampled_from([None, "delivery", "invoice", "site"]),
    st.sampled_from([None, "promise", "quality"]),
    st.lists(st.sampled_from(["wine", "skincare", "dress", "odd"]), unique=True, max_size=3).map(tuple),
    st.sampled_from([None, "aarhus"]),
    st.sampled_from([None, "delivery", "invoice", "site"]),
)
RULES = st.lists(
    st.builds(
        RoutingRule,
        st.sampled_from([*SHOP.teams]),
        st.sampled_from([None, "delivery", "invoice", "site"]),
        st.sampled_from([None, "promise", "quality"]),
        st.sampled_from([None, "wine", "skincare"]),
        st.sampled_from([None, "aarhus", "odense"]),
    ),
    max_size=6,
)


@given(RULES, CLUES)
def test_routing_and_its_explanation_never_disagree(rules: list[RoutingRule], clues: Clues) -> None:
    """One rule wins at most, it is the one that routing takes, and every rule is accounted for once, in any order of them."""
    shop = ruled(*rules)
    told = explain(shop, clues)
    assert len(told) == len(list(rules_of(shop)))
    winners = [each.rule.team for each in told if each.wins]
    assert (winners or ["fallback"]) == [route(shop, clues).team]
    fitting = [each for each in told if each.wins or each.why.startswith("fits")]
    assert told[: len(fitting)] == tuple(fitting)
    assert bool(winners) == (bool(fitting) and fitting[0].wins)
