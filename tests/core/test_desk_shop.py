"""shop.yaml: the shipped example, the smallest file that will do, and what an admin is told about mistakes."""

from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.shop_file import example_text
from bot.desk.shop import Shop
from bot.desk.shop_yaml import parse_shop, read_shop
from bot.durations import Duration
from bot.errors import FlowError

SMALLEST = """\
name: Vinhuset
languages: [da]
time_zone: Europe/Copenhagen
country: DK
teams:
  service:
    channel: "#service"
fallback_channel: "#customers"
"""


def problems(text: str) -> list[str]:
    return [str(problem) for problem in read_shop(text)[1]]


def test_the_smallest_file_has_a_default_for_all_the_rest() -> None:
    """Six settings are enough; office hours, Danish holidays, touchpoints, remedies and guards are filled in."""
    shop = parse_shop(SMALLEST)
    team = shop.teams["service"]
    assert team.calendar.country == "DK"
    assert team.calendar.hours_on(date(2026, 11, 23)) == ((time(9), time(17)),)
    assert team.calendar.hours_on(date(2026, 12, 25)) == ()
    assert team.first_answer == Duration(business_days=1)
    assert set(shop.remedies) == {"refund", "replacement", "credit", "explanation", "visit", "none"}
    assert len(shop.touchpoints) == 10
    assert (shop.guards.quiet_from, shop.guards.quiet_to) == (time(21), time(8, 30))
    assert (shop.max_cycles, shop.messages_per_second, shop.per_chat_per_second) == (3, 30, 1)
    assert shop.link_expires_after == timedelta(days=60)
    assert shop.cx_owner is None


def test_the_shipped_example_says_what_the_defaults_are() -> None:
    """The example is valid, and what it shows as the default is the default."""
    shop, smallest = parse_shop(example_text()), parse_shop(SMALLEST)
    assert set(shop.teams) == {"wine", "fashion", "skincare", "accounting", "delivery"}
    assert shop.guards == smallest.guards
    assert shop.benchmark == smallest.benchmark
    assert shop.remedies == smallest.remedies
    assert shop.causes == smallest.causes
    assert shop.cards_per_minute == smallest.cards_per_minute
    assert shop.touchpoints == smallest.touchpoints
    assert shop.max_cycles == smallest.max_cycles
    assert shop.link_expires_after == smallest.link_expires_after
    assert shop.calendar.hours_on(date(2026, 12, 24)) == ()
    assert shop.calendar.hours_on(date(2026, 11, 27)) == ((time(9), time(16)),)
    assert shop.teams["skincare"].calendar.hours_on(date(2026, 12, 24)) == ()
    assert shop.teams["skincare"].calendar.hours_on(date(2026, 11, 23)) == ((time(10), time(18)),)


def test_what_the_example_keeps_in_comments_is_valid_too() -> None:
    """Every setting that the example shows commented out can be switched on as it stands."""
    switched = [
        line.replace("# ", "", 1)
        if line.strip().startswith("# ") and ":" in line and line.split("#")[1].split(":")[0].strip() in OPTIONS
        else line
        for line in example_text().splitlines()
    ]
    shop = parse_shop("\n".join(switched))
    assert shop.cx_owner == "U0123ABCD"
    assert (shop.ops_channel, shop.alarm_channel) == ("#aftersale", "#aftersale")
    assert shop.teams["delivery"].members == ("U0123ABCD",)
    assert shop.teams["delivery"].first_answer == Duration(span=timedelta(hours=4))
    assert shop.teams["skincare"].factors == {"clarity"}
    assert shop.calendar.hours_on(date(2026, 12, 20)) == ((time(10), time(14)),)
    assert (shop.guards.ask_every, shop.guards.pause_after_talk) == (timedelta(days=1), timedelta(hours=2))
    assert shop.review_link == "https://example.com/review"


OPTIONS = {
    "cx_owner",
    "ops_channel",
    "members",
    "lead",
    "first_answer",
    "factors",
    "open",
    "review",
    "privacy",
}


@pytest.mark.parametrize(
    ("wrong", "place", "words"),
    [
        ("lanuages: [da]", "9:1", "did you mean 'languages'?"),
        ("name: Again", "9:1", "'name' is written twice"),
        ("cx_owner: Mette", "9:11", "not a Slack user id"),
        ("ops_channel: Aftersale", "9:14", "not a Slack channel"),
        ("guards: { quiet_hours: late }", "9:24", "write it as 09:00-17:00"),
        ("guards: { quiet_days: [mondays] }", "9:24", "did you mean 'sundays'?"),
        ("guards: { import_stops_at: { unhappy: 30 } }", "9:39", "is not a share"),
        ("guards: { ask_every: 1bd }", "9:22", "depends on a calendar"),
        ("guards: { quite_hours: none }", "9:11", "did you mean 'quiet_hours'?"),
        ("benchmark: { satisfaction: 95 }", "9:28", "a number from 0 to 1"),
        ("benchmark: { first_answer: 2d }", "9:28", "2bd"),
        ("cases: { max_cycles: none }", "9:22", "not a whole number"),
        ("links: { review: example.com }", "9:18", "https://"),
        ("calendar: { hours: { mon-fry: 09:00-17:00 } }", "9:22", "not a day of the week"),
        ("calendar: { hours: { mon: 17:00-09:00 } }", "9:27", "ends before it begins"),
        ("calendar: { hours: { mon: '09:00-12:00, 11:00-13:00' } }", "9:27", "begins before"),
        ("calendar: { hours: { mon: 09:00-12:00, mon-fri: 09:00-10:00 } }", "9:40", "hours already"),
        ("calendar: { hours: { mon: closed } }", "9:20", "at least one day"),
        ("calendar: { holidays: { country: DE, subdivision: BX } }", "9:11", "has no subdivision 'BX'"),
        ("calendar: { holidays: XX }", "9:11", "no holidays are known"),
        ("calendar: { holidays: { categories: [publik] } }", "9:11", "did you mean 'public'?"),
        ("calendar: { closed: [12-32] }", "9:22", "not a day"),
        ("calendar: { closed: [12-24], open: { 12-24: 09:00-12:00 } }", "9:38", "both closed and open"),
        ("calendar: { time_zone: Copenhagen }", "9:24", "did you mean 'Europe/Copenhagen'?"),
        ("remedies: { refund: { label: { fr: Remboursement } } }", "9:32", "'fr'"),
        ("remedies: { refund: { reask_after: soon } }", "9:36", "not a length of time"),
        ("limits: 30", "9:9", "needs keys of its own"),
        ("limits: { messages_per_second: 1001 }", "9:32", "at most 1000"),
        ("limits: { messages_per_second: 0 }", "9:32", "write 1 or more"),
        ("limits: { per_chat_per_second: 5000 }", "9:32", "more than Telegram takes"),
        ("touchpoints: { invoice: [a, b] }", "9:25", "needs a value"),
    ],
)
def test_a_mistake_is_refused_at_its_place_with_the_mend(wrong: str, place: str, words: str) -> None:
    """Each mistake is named with line and column, and with what to do about it."""
    found = problems(SMALLEST + wrong + "\n")
    assert len(found) == 1, found
    assert found[0].startswith(f"shop.yaml:{place}: ")
    assert words in found[0]


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("country: DK", "country: DNK", "did you mean 'DK'?"),
        ("country: DK", "country: ZZ", "not a country"),
        ("[da]", "[dansk]", "not a language code"),
        ("Europe/Copenhagen", "Europe/Kopenhagen", "not a time zone"),
        ('channel: "#service"', "channel: #service", "quotation marks"),
        ('fallback_channel: "#customers"', "", "fallback_channel is missing"),
        ("  service:", "  fallback:", "no team can be called fallback"),
        (
            '    channel: "#service"',
            '    channel: "#service"\n    answers_for: { touchpoints: [invoce] }',
            "did you mean 'invoice'?",
        ),
        ('    channel: "#service"', '    channel: "#service"\n    answers_for: { factors: [price] }', "not a factor"),
        (
            '    channel: "#service"',
            '    channel: "#a"\n    answers_for: { tags: [wine] }\n  b: { channel: "#b", answers_for: { tags: [wine] } }',
            "already answered for by team service",
        ),
        ("name: Vinhuset", "name: [", "not valid YAML"),
        ("name: Vinhuset", "name: \x01", "not valid YAML"),
        ("name: Vinhuset", "? [a, b]\n: c\nname: d", "a key must be a single word"),
    ],
)
def test_a_mistake_in_what_must_be_there_is_refused(right: str, wrong: str, words: str) -> None:
    """Country, language, zone, channels and what teams answer for are checked while reading."""
    assert right in SMALLEST
    assert any(words in problem for problem in problems(SMALLEST.replace(right, wrong)))


def test_all_mistakes_are_shown_at_once_in_the_order_of_the_file() -> None:
    """An admin mends the file in one go; the first problem is the one that is raised."""
    text = SMALLEST.replace("DK", "DNK").replace("Europe/Copenhagen", "Nowhere") + "links: { reviw: x }\n"
    found = read_shop(text)[1]
    assert [problem.line for problem in found] == [3, 4, 9]
    with pytest.raises(FlowError) as raised:
        parse_shop(text, file="my/shop.yaml")
    assert (raised.value.line, raised.value.file) == (3, "my/shop.yaml")


def test_a_team_that_is_no_more_falls_back() -> None:
    """A case of a team that was taken out of the file goes to the fallback channel, with the CX owner as its lead."""
    shop = parse_shop(SMALLEST + "cx_owner: U0CX\n")
    team = shop.team("gone")
    assert (team.name, team.channel, team.lead) == ("fallback", "#customers", "U0CX")
    assert shop.has_team("fallback")
    assert not shop.has_team("gone")


def test_labels_come_in_the_best_language_there_is() -> None:
    """A label is looked up in the wanted language, its base, the shop's own, and at last as the bare key."""
    shop = parse_shop(SMALLEST + "touchpoints: { till: { da: Kasse }, window: Vindue }\nremedies: [refund, hug]\n")
    assert shop.touchpoint_label("till", "en") == "Kasse"
    assert shop.touchpoint_label("window", "da-DK") == "Vindue"
    assert shop.touchpoint_label("cellar", "da") == "cellar"
    assert shop.remedy_label("refund", "en-GB") == "Refund"
    assert shop.remedy_label("hug", "en") == "hug"


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from([*SMALLEST.splitlines(), "  ", "x: [", "? y", "teams: 1", "calendar: {hours: 3}"])).map(
        "\n".join
    )
)
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    """Any text gives either a shop or at least one problem with its place, never an exception."""
    shop, found = read_shop(text)
    assert isinstance(shop, Shop) != bool(found)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in found)


RULED = (
    SMALLEST
    + """\
touchpoints: [delivery, product, seller]
routing:
  - { touchpoint: delivery, tag: wine, team: service }
  - { factor: promise, shop: aarhus, team: fallback }
"""
)


def test_rules_for_routing_are_read_with_their_lines() -> None:
    """Each rule knows where it stands, so that whoever asks why can find it."""
    first, second = parse_shop(RULED).routing
    assert (first.team, first.touchpoint, first.factor, first.tag, first.shop) == (
        "service",
        "delivery",
        None,
        "wine",
        None,
    )
    assert first.where == "line 11 of shop.yaml"
    assert (second.team, second.shop) == ("fallback", "aarhus")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            "{ touchpoint: delivry, team: service }",
            "'delivry' is not a touchpoint of this shop → did you mean 'delivery'?",
        ),
        ("{ factor: luck, team: service }", "'luck' is not a factor of this shop"),
        ("{ tag: wine, team: servise }", "there is no team 'servise' → did you mean 'service'?"),
        ("{ tag: wine }", "this rule names no team"),
        ("{ team: service }", "this rule fits everything"),
        ("{ touchpoint: delivery, tag: wine, team: fallback }", "ruled already (line 11 of shop.yaml)"),
        ("{ tags: wine, team: service }", "has no setting 'tags' → did you mean 'tag'?"),
        ("wine", "routing needs keys of its own"),
    ],
)
def test_a_rule_that_will_not_do_is_named_with_line_and_column(rule: str, said: str) -> None:
    """Whatever is wrong with a rule is said where it stands, with what to write instead."""
    found = problems(f"{RULED}  - {rule}\n")
    assert all(problem.startswith("shop.yaml:13:") for problem in found)
    assert [problem for problem in found if said in problem]


def test_a_rule_that_a_team_answers_for_already_is_refused() -> None:
    """What `answers_for` says and what a rule says can never contradict one another."""
    claims = RULED.replace('channel: "#service"', 'channel: "#service"\n    answers_for: { tags: [beer] }')
    (problem,) = problems(f"{claims}  - {{ tag: beer, team: fallback }}\n")
    assert "team service answers for that already" in problem


def test_remedies_say_what_they_count_from_and_whether_they_have_a_value() -> None:
    """A shop's own remedy is asked about after its delivery, comes with an amount, and has its own latest moment."""
    text = """\
remedies:
  courier: { label: Courier, counts_from: delivery, reask_after: 2bd, delivered_by: 3bd, value: true }
  refund:
"""
    remedies = parse_shop(SMALLEST + text).remedies
    courier = remedies["courier"]
    assert (courier.counts_from_delivery, courier.has_value) == (True, True)
    assert (courier.reask_after, courier.delivered_by) == (Duration(business_days=2), Duration(business_days=3))
    assert (remedies["refund"].has_value, remedies["refund"].reask_after) == (True, None)
    (problem,) = problems(SMALLEST + text.replace("from: delivery", "from: parcel"))
    assert "nothing counts from 'parcel'" in problem
    (problem,) = problems(SMALLEST + text.replace("value: true", "value: maybe"))
    assert "'maybe' is neither yes nor no" in problem


def test_root_causes_are_the_shops_own_or_a_list_to_begin_with() -> None:
    """Left out there are eight; a shop may name its own, but not none, for a remedy is noted with one."""
    assert len(parse_shop(SMALLEST).causes) == 8
    own = parse_shop(f"{SMALLEST}root_causes: {{ carrier: , grapes: {{ da: Druerne }} }}\n")
    assert own.cause_label("carrier", "da") == "Fragtfirma"
    assert own.cause_label("grapes", "en") == "Druerne"
    (problem,) = problems(f"{SMALLEST}root_causes: []\n")
    assert "none to choose" in problem


def test_staff_are_written_to_in_a_language_that_the_program_speaks() -> None:
    """English or Danish; anything else is refused with what there is."""
    assert parse_shop(SMALLEST).staff_language == "en"
    assert parse_shop(f"{SMALLEST}staff_language: da\n").staff_language == "da"
    (problem,) = problems(f"{SMALLEST}staff_language: fr\n")
    assert "it can be en, da" in problem


def test_saved_answers_are_given_in_the_customers_language_alone() -> None:
    """A text in another language is no answer; what is not known of the customer is left standing to be seen."""
    text = """\
saved_answers:
  late:
    label: { da: Forsinket }
    text: { da: "Hej {first_name}, ordre {order} er på vej." }
"""
    shop = parse_shop(SMALLEST + text)
    assert shop.answers_in("da-DK", first_name="Freja", order="") == [
        ("late", "Forsinket", "Hej Freja, ordre {order} er på vej.")
    ]
    assert shop.answers_in("en", first_name="Freja") == []
    (problem,) = problems(SMALLEST + "saved_answers: { late: { label: x } }\n")
    assert "the saved answer late has no text" in problem
