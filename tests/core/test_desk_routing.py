"""Routing: whose an unhappy reply is, and the words that say why."""

from dataclasses import replace

from bot.adapters.shop_file import default_shop
from bot.desk.routing import route

SHOP = default_shop()


def test_the_four_sales_of_the_story_reach_their_teams() -> None:
    """In the shipped example wine, dress, skincare and invoice each go to the people who can put them right."""
    assert route(SHOP, touchpoint="product", factor="quality", tags=["wine"]).team == "wine"
    assert route(SHOP, touchpoint="product", factor="promise", tags=["fashion", "dress"]).team == "fashion"
    assert route(SHOP, factor="quality", tags=["skincare"]).team == "skincare"
    invoice = route(SHOP, touchpoint="invoice", factor="clarity", tags=["wine"])
    assert (invoice.team, invoice.channel, invoice.why) == (
        "accounting",
        "#accounting",
        "touchpoint invoice → accounting",
    )
    assert route(SHOP, touchpoint="delivery", factor="promise", tags=["wine"]).team == "delivery"


def test_a_factor_comes_after_the_touchpoint_and_before_the_tags() -> None:
    """A touchpoint that nobody answers for leaves it to the factor; only then the tags are asked."""
    wine = replace(SHOP.teams["wine"], factors=frozenset({"service"}))
    shop = replace(SHOP, teams={**SHOP.teams, "wine": wine})
    assert route(shop, touchpoint="support", factor="service", tags=["skincare"]).why == "factor service → wine"
    assert route(shop, touchpoint="delivery", factor="service").team == "delivery"
    assert route(shop, touchpoint="support", factor="quality", tags=["skincare"]).why == "tag skincare → skincare"


def test_where_the_promise_was_made_counts_when_the_reply_names_nothing() -> None:
    """The promise's touchpoint stands in for the reply's own, and never overrules it."""
    assert route(SHOP, promise_touchpoint="delivery", tags=["wine"]).team == "delivery"
    assert route(SHOP, touchpoint="product", promise_touchpoint="delivery", tags=["wine"]).team == "wine"


def test_the_first_tag_that_somebody_answers_for_decides() -> None:
    """Tags are asked in their order; unknown ones are passed over."""
    assert route(SHOP, tags=["gift", "skincare", "wine"]).team == "skincare"


def test_what_nobody_answers_for_goes_to_the_fallback_channel_and_says_so() -> None:
    """Nothing is ever without a channel."""
    lost = route(SHOP, touchpoint="site", factor="clarity", tags=["books"])
    assert (lost.team, lost.channel) == ("fallback", "#customers")
    assert lost.why == "no team answers for touchpoint site, factor clarity, tag books → fallback channel"
    assert route(SHOP).why == "nothing says whose it is → fallback channel"
