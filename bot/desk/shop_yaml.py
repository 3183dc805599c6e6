"""Reading a shop.yaml: text in; a valid `Shop` out, or every problem with its line, column and mend.

Pure; opening the file is the adapter's. Calendars and single values are read by `bot.desk.calendar_yaml` and
`bot.desk.shop_values`.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta

from babel import Locale

from bot.desk.calendar_yaml import check_holidays, read_calendar
from bot.desk.marked_yaml import Fields, Marked, read_marked
from bot.desk.shop import (
    DEFAULT_CAUSES,
    DEFAULT_REMEDIES,
    DEFAULT_TOUCHPOINTS,
    FACTORS,
    FALLBACK,
    Benchmark,
    Bounds,
    Guards,
    RemedyKind,
    RoutingRule,
    SavedAnswer,
    Shop,
    Team,
    Texts,
)
from bot.desk.shop_values import (
    channel,
    count,
    fixed_length,
    from_delivery,
    language,
    link,
    quiet_hours,
    rate,
    share,
    slack_user,
    time_zone,
    working_length,
    yes_or_no,
)
from bot.desk.working_time import Calendar
from bot.durations import Duration, parse_duration
from bot.errors import FlowError
from bot.public_days import QUIET_DAYS, QuietDay


def parse_shop(text: str, *, file: str = "shop.yaml") -> Shop:
    """Read the text of a shop.yaml.

    Raises:
        FlowError: the first of its problems, with line, column and what to do; `read_shop` gives all of them.
    """
    shop, problems = read_shop(text, file)
    if shop is None:
        raise problems[0]
    return shop


def read_shop(text: str, file: str = "shop.yaml") -> tuple[Shop | None, list[FlowError]]:
    """Read the text of a shop.yaml; the shop (None where anything is wrong), and all problems in order."""
    top = read_marked(text, file)
    if top.complaints.found:
        return None, top.complaints.found
    if not top.is_mapping:
        top.refuse("a shop.yaml holds settings, one `key: value` on each line", "copy the example and change it")
        return None, top.complaints.found
    shop = _shop(top)
    problems = sorted(top.complaints.found, key=lambda problem: (problem.line, problem.column))
    return (None if problems else shop), problems


_SETTINGS = (
    *("name", "languages", "time_zone", "country", "calendar", "teams", "cx_owner", "fallback_channel", "ops_channel"),
    *("touchpoints", "remedies", "guards", "benchmark", "cases", "links", "limits"),
    *("staff_language", "routing", "root_causes", "saved_answers"),
)
_STAFF_LANGUAGES = ("en", "da")
_REQUIRED = {
    "name": "name: Vinhuset",
    "languages": "languages: [da, en]",
    "time_zone": "time_zone: Europe/Copenhagen",
    "country": "country: DK",
    "teams": 'teams: { service: { channel: "#service" } }',
    "fallback_channel": 'fallback_channel: "#customers" (in quotation marks: # begins a comment)',
}
_NO_COUNTRIES = {"XA", "XB", "ZZ"}
"""Codes of Babel's that stand for made-up places."""


def _shop(top: Marked) -> Shop:
    """Build the shop, with defaults standing in for whatever was refused."""
    given = top.fields(*_SETTINGS)
    for key, example in _REQUIRED.items():
        if key not in given:
            top.refuse(f"{key} is missing", f"write {example}")
    languages = _languages(given.get("languages"))
    zone = given.value("time_zone", time_zone, "UTC")
    country = _country(given.get("country"))
    calendar = read_calendar(given.get("calendar"), Calendar(zone, country=country or None))
    check_holidays(given.get("calendar", given.get("country")), calendar)
    touchpoints = _touchpoints(given.get("touchpoints"), languages)
    benchmark = _benchmark(given)
    links = given.section("links", "review", "referral", "privacy", "expire_after")
    case_rules = given.section("cases", "max_cycles", "change_answer", "cards_per_minute")
    limits = given.section("limits", "messages_per_second", "per_chat_per_second")
    teams = _teams(given.get("teams"), calendar, touchpoints, benchmark.first_answer)
    return Shop(
        name=given.value("name", str, ""),
        languages=languages,
        time_zone=zone,
        country=country,
        calendar=calendar,
        teams=teams,
        cx_owner=given.value("cx_owner", slack_user, None),
        fallback_channel=given.value("fallback_channel", channel, ""),
        ops_channel=given.value("ops_channel", channel, None),
        touchpoints=touchpoints,
        remedies=_remedies(given.get("remedies"), languages),
        guards=_guards(given),
        benchmark=benchmark,
        review_link=links.value("review", link, None),
        referral_link=links.value("referral", link, None),
        privacy_link=links.value("privacy", link, None),
        link_expires_after=links.value("expire_after", fixed_length, timedelta(days=60)),
        max_cycles=case_rules.value("max_cycles", count, 3),
        change_answer=case_rules.value("change_answer", fixed_length, None),
        messages_per_second=limits.value("messages_per_second", rate, 30),
        per_chat_per_second=limits.value("per_chat_per_second", rate, 1),
        staff_language=_staff_language(given.get("staff_language")),
        routing=_routing(given.get("routing"), teams, touchpoints),
        causes=_causes(given.get("root_causes"), languages),
        saved_answers=_saved_answers(given.get("saved_answers"), languages),
        cards_per_minute=case_rules.value("cards_per_minute", count, 20),
    )


def _staff_language(given: Marked | None) -> str:
    code = given.text() if given else None
    if given is None or code is None:
        return "en"
    if code not in _STAFF_LANGUAGES:
        given.suggest(code, f"the program does not speak {code!r} to staff", _STAFF_LANGUAGES)
        return "en"
    return code


def _routing(
    given: Marked | None, teams: Mapping[str, Team], touchpoints: Mapping[str, Texts]
) -> tuple[RoutingRule, ...]:
    """Read the rules; two for the very same would leave it to chance, and are refused."""
    known = {"touchpoint": tuple(touchpoints), "factor": FACTORS, "team": (*teams, FALLBACK)}
    rules: dict[tuple[str | None, str | None, str | None, str | None], RoutingRule] = {}
    alone: dict[tuple[str | None, ...], str] = {
        **{(each, None, None, None): team.name for team in teams.values() for each in team.touchpoints},
        **{(None, each, None, None): team.name for team in teams.values() for each in team.factors},
        **{(None, None, each, None): team.name for team in teams.values() for each in team.tags},
    }
    for item in given.items() if given else ():
        fields = item.fields("touchpoint", "factor", "tag", "shop", "team")
        values = {key: _known_word(value, key, known.get(key)) for key, value in fields.items()}
        if not item.is_mapping:
            continue
        if "team" not in fields:
            item.refuse("this rule names no team", "write { touchpoint: delivery, tag: wine, team: wine }")
            continue
        asked = (values.get("touchpoint"), values.get("factor"), values.get("tag"), values.get("shop"))
        if all(each is None for each in asked):
            item.refuse(
                "this rule fits everything", "name a touchpoint, factor, tag or shop; the rest goes to fallback_channel"
            )
        elif asked in alone:
            item.refuse(f"team {alone[asked]} answers for that already", "leave one of the two")
        elif asked in rules:
            item.refuse(f"the same is ruled already ({rules[asked].where})", "leave one of the two")
        else:
            where = f"line {item.line} of {item.complaints.file}"
            touchpoint, factor, tag, shop = asked
            rules[asked] = RoutingRule(values["team"] or "", touchpoint, factor, tag, shop, where)
    return tuple(rules.values())


def _known_word(value: Marked, kind: str, known: tuple[str, ...] | None) -> str | None:
    word = value.text()
    if word is not None and known is not None and word not in known:
        reason = f"there is no team {word!r}" if kind == "team" else f"{word!r} is not a {kind} of this shop"
        value.suggest(word, reason, known)
    return word


def _causes(given: Marked | None, languages: tuple[str, ...]) -> Mapping[str, Texts]:
    if given is None:
        return DEFAULT_CAUSES
    if not given.is_mapping:
        causes = {word: DEFAULT_CAUSES.get(word, {}) for _, word in given.words()}
    else:
        causes = {
            key: DEFAULT_CAUSES.get(key, {}) if value.is_empty else _texts(value, languages)
            for _, key, value in given.entries()
        }
    if not causes:
        given.refuse("a remedy is noted with its root cause, and there is none to choose", "name one, or leave it out")
    return causes


def _saved_answers(given: Marked | None, languages: tuple[str, ...]) -> Mapping[str, SavedAnswer]:
    answers = {}
    for place, key, value in given.entries() if given else ():
        fields = value.fields("label", "text")
        if "text" not in fields:
            place.refuse(f"the saved answer {key} has no text", "write text: { en: …, da: … }")
            continue
        label = _texts(fields["label"], languages) if "label" in fields else {}
        answers[key] = SavedAnswer(label, _texts(fields["text"], languages))
    return answers


def _languages(given: Marked | None) -> tuple[str, ...]:
    codes = [code for item in given.items() if (code := item.read(language, ""))] if given else []
    return tuple(dict.fromkeys(codes)) or ("en",)


def _country(given: Marked | None) -> str:
    code = given.text() if given else None
    if given is None or code is None:
        return ""
    known = [str(key) for key in Locale("en").territories if re.fullmatch("[A-Z]{2}", str(key))]
    if code not in known or code in _NO_COUNTRIES:
        given.suggest(code, f"{code!r} is not a country; write its two capital letters, such as DK", known)
        return ""
    return code


def _teams(
    given: Marked | None, calendar: Calendar, touchpoints: Mapping[str, Texts], first_answer: Duration
) -> Mapping[str, Team]:
    teams: dict[str, Team] = {}
    claims = _Claims(touchpoints)
    for place, name, value in given.entries() if given else ():
        if name == FALLBACK:
            place.refuse(
                "no team can be called fallback", "that is what the fallback_channel is for; choose another name"
            )
        else:
            teams[name] = _team(place, value, Team(name, "", calendar, first_answer), claims)
    if given and given.is_mapping and not teams:
        given.refuse("the shop needs at least one team", f"write {_REQUIRED['teams']}")
    return teams


def _team(place: Marked, value: Marked, default: Team, claims: "_Claims") -> Team:
    given = value.fields("channel", "lead", "members", "calendar", "answers_for", "first_answer")
    if "channel" not in given and (value.is_mapping or value.is_empty):
        mend = f'write channel: "#{default.name}" (in quotation marks: # begins a comment), or the id of the channel'
        place.refuse(f"team {default.name} has no channel", mend)
    calendar = read_calendar(given.get("calendar"), default.calendar)
    check_holidays(given.get("calendar"), calendar)
    answers_for = given.section("answers_for", "touchpoints", "factors", "tags")
    members = [item.read(slack_user, "") for item in given["members"].items()] if "members" in given else []
    return Team(
        name=default.name,
        channel=given.value("channel", channel, ""),
        calendar=calendar,
        first_answer=given.value("first_answer", working_length, default.first_answer),
        lead=given.value("lead", slack_user, None),
        members=tuple(members),
        touchpoints=claims.read("touchpoint", answers_for.get("touchpoints"), default.name),
        factors=claims.read("factor", answers_for.get("factors"), default.name),
        tags=claims.read("tag", answers_for.get("tags"), default.name),
    )


class _Claims:
    """What each team answers for. Each thing has one team only, or nobody would know whose it is."""

    def __init__(self, touchpoints: Iterable[str]) -> None:
        self._known = {"touchpoint": tuple(touchpoints), "factor": FACTORS}
        self._owners: dict[tuple[str, str], str] = {}

    def read(self, kind: str, given: Marked | None, team: str) -> frozenset[str]:
        """Read what `team` claims; tags are the shop's own words, touchpoints and factors must be known."""
        claimed = set()
        for item, word in given.words() if given else ():
            owner = self._owners.setdefault((kind, word), team)
            if word not in self._known.get(kind, (word,)):
                item.suggest(word, f"{word!r} is not a {kind} of this shop", self._known[kind])
            elif owner != team:
                item.refuse(f"{kind} {word} is already answered for by team {owner}", "leave it with one of the two")
            else:
                claimed.add(word)
        return frozenset(claimed)


def _touchpoints(given: Marked | None, languages: tuple[str, ...]) -> Mapping[str, Texts]:
    if given is None:
        return DEFAULT_TOUCHPOINTS
    if not given.is_mapping:
        return {word: DEFAULT_TOUCHPOINTS.get(word, {}) for _, word in given.words()}
    return {
        key: DEFAULT_TOUCHPOINTS.get(key, {}) if value.is_empty else _texts(value, languages)
        for _, key, value in given.entries()
    }


def _remedies(given: Marked | None, languages: tuple[str, ...]) -> Mapping[str, RemedyKind]:
    if given is None:
        return DEFAULT_REMEDIES
    if not given.is_mapping:
        return {word: DEFAULT_REMEDIES.get(word, RemedyKind({})) for _, word in given.words()}
    remedies = {}
    for _, key, value in given.entries():
        default = DEFAULT_REMEDIES.get(key, RemedyKind({}))
        fields = value.fields("label", "reask_after", "value", "counts_from", "delivered_by")
        remedies[key] = RemedyKind(
            label=_texts(fields["label"], languages) if "label" in fields else default.label,
            reask_after=fields.value("reask_after", parse_duration, default.reask_after),
            has_value=fields.value("value", yes_or_no, default.has_value),
            counts_from_delivery=fields.value("counts_from", from_delivery, default.counts_from_delivery),
            delivered_by=fields.value("delivered_by", parse_duration, default.delivered_by),
        )
    return remedies


def _texts(given: Marked, languages: tuple[str, ...]) -> Texts:
    """Read words per language; a single text is in the shop's first language."""
    if not given.is_mapping:
        return {languages[0]: given.text() or ""}
    return {code: value.text() or "" for code, value in given.fields(*languages).items()}


def _guards(shop: Fields) -> Guards:
    default = Guards()
    fields = shop.section(
        "guards", "quiet_hours", "quiet_days", "ask_every", "pause_after_talk", "catch_up_per_hour", "import_first",
        "import_stops_at",
    )  # fmt: skip
    start, end = fields.value("quiet_hours", quiet_hours, (default.quiet_from, default.quiet_to))
    bounds = fields.section("import_stops_at", "unhappy", "blocked", "unknown")
    return Guards(
        quiet_from=start,
        quiet_to=end,
        quiet_days=quiet_days(fields["quiet_days"]) if "quiet_days" in fields else default.quiet_days,
        ask_every=fields.value("ask_every", fixed_length, default.ask_every),
        pause_after_talk=fields.value("pause_after_talk", fixed_length, default.pause_after_talk),
        catch_up_per_hour=fields.value("catch_up_per_hour", count, default.catch_up_per_hour),
        import_first=fields.value("import_first", count, default.import_first),
        import_stops_at=Bounds(
            unhappy=bounds.value("unhappy", share, default.import_stops_at.unhappy),
            blocked=bounds.value("blocked", share, default.import_stops_at.blocked),
            unknown=bounds.value("unknown", share, default.import_stops_at.unknown),
        ),
    )


def quiet_days(given: Marked) -> tuple[QuietDay, ...]:
    """Read ``none``, or which whole days are quiet."""
    if not given.is_list and not given.is_mapping and given.text() == "none":
        return ()
    named = [word for place, word in given.words() if _is_quiet_day(place, word)]
    return tuple(day for day in QUIET_DAYS if day in named)


def _is_quiet_day(place: Marked, word: str) -> bool:
    if word not in QUIET_DAYS:
        place.suggest(word, f"{word!r} is no day that can be quiet; write none, or [sundays, holidays]", QUIET_DAYS)
    return word in QUIET_DAYS


def _benchmark(shop: Fields) -> Benchmark:
    default = Benchmark()
    fields = shop.section("benchmark", "satisfaction", "coverage", "first_answer")
    return Benchmark(
        satisfaction=fields.value("satisfaction", share, default.satisfaction),
        coverage=fields.value("coverage", share, default.coverage),
        first_answer=fields.value("first_answer", working_length, default.first_answer),
    )
