"""What staff do in Slack, through the real Bolt against a local Slack: committed first, acknowledged then, nothing else."""

import asyncio
import dataclasses
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from bot.adapters.clock import MovableClock
from bot.adapters.sandbox.slack import SandboxSlack, Timing, render_view
from bot.adapters.slack.poster import SlackPoster
from bot.adapters.slack.receiver import SlackSocket, build_app, close_app, http_handler
from bot.adapters.slack.translate import translate
from bot.desk.shop import RemedyKind, SavedAnswer, Shop, Team
from bot.desk.working_time import Calendar
from bot.errors import ConfigurationError, NotFound
from bot.ports.board import Board, CaseFacts, Found, Line, Running
from bot.ports.channels import Card, TaskCard
from bot.ports.inbound import (
    CaseCallNeeded,
    CaseClaimed,
    CaseHandedOver,
    CaseNoted,
    CaseRemedied,
    CaseReplied,
    CaseSnoozed,
    PersonLeft,
    TaskAsked,
    TaskFinished,
)
from bot.ports.records import Outgoing

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
CARD = Card(
    case_id="k1",
    status="open",
    team="Wine desk",
    why_team="answers for delivery",
    customer="Freja Holm",
    language="da",
    sale_id="1001",
    bought="two bottles of Barolo",
    promise=None,
    said="It never came",
    factor="promise",
    touchpoint="delivery",
    cycle=1,
    due="Mon 23 Nov 10:00",
    due_reason="2 working hours",
    overdue=False,
    claimed_by=None,
    remedy=None,
    reachable=True,
    history="first reply",
)


class Inbox:
    """A store of rows that can be told to fail or to be slow."""

    def __init__(self):
        self.rows = {}
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self, rows):
        """Keep the rows whose key is new."""
        await self.gate.wait()
        if self.broken:
            raise OSError("the disk is full")
        for row in rows:
            self.rows.setdefault(row.key, row)

    @property
    def meanings(self):
        """What the rows mean, oldest first."""
        return [translate(row.payload) for row in self.rows.values()]


WEEK = Calendar("Europe/Copenhagen")
SHOP = Shop(
    name="Vinhuset",
    languages=("en", "da"),
    time_zone="Europe/Copenhagen",
    country="DK",
    teams={"wine": Team("wine", "C1", WEEK), "web": Team("web", "C2", WEEK, members=("U0WEB",), lead="U0LEAD")},
    fallback_channel="C9",
    calendar=WEEK,
    cx_owner="U0CX",
    remedies={"refund": RemedyKind({"en": "Refund"}, has_value=True), "visit": RemedyKind({"en": "Visit"})},
    causes={"carrier": {"en": "Carrier"}, "handling": {"en": "Our handling"}},
    saved_answers={
        "found": SavedAnswer({"en": "We found it"}, {"da": "Hej {first_name}, vi har fundet den."}),
        "sorry": SavedAnswer({"en": "Sorry"}, {"da": "Undskyld."}),
    },
)


class Desk:
    """Answers of a program that knows one case, k1, of the team that it is told."""

    def __init__(self, team="wine"):
        self.team, self.asked, self.held, self.slow = team, [], None, False

    async def facts(self, case_id):
        """Know the customer of k1."""
        if self.slow:
            await asyncio.sleep(30)
        return (
            CaseFacts("Freja Holm", "da", self.team, "1001", "two bottles", "It never came")
            if case_id == "k1"
            else None
        )

    async def task_team(self, case_id, task_id):
        """Know one task, of the web team."""
        return "web" if (case_id, task_id) == ("k1", "t1") else None

    async def compose(self, case_id, name, text):
        """Sign below."""
        return f"{text}\n\n– {name}, Vinhuset ({case_id})"

    async def board(self, user, teams):
        """Show one case, and remember who asked."""
        self.asked.append((user, tuple(teams)))
        line = Line(
            "Freja Holm", "two bottles, order 1001", "red", "overdue", "🔺", "due Mon 10:00", user, ("C1", "17.2")
        )
        return Board(at="Mon 10:00", shop="Vinhuset", teams=teams, mine=[line], figures={"opened": 3})

    async def running(self):
        """Be well, or paused."""
        return Running((), self.held)

    async def pause(self, user):
        """Be paused."""
        self.held = f"paused by {user}"

    async def resume(self, _user):
        """Be paused no more."""
        self.held = None

    async def why(self, order):
        """Know one order."""
        if order != "1001":
            raise NotFound(f"there is no sale {order}")
        return ["question – waiting: quiet hours <!channel>"]

    async def find(self, text):
        """Find one sale."""
        return (
            [Found("1001", "Freja <Holm>", "two bottles", "delivered", "🔺 overdue", ("C1", "17.2"))]
            if text == "fre"
            else []
        )


def app_for(slack, inbox, **more):
    given = {
        "token": slack.bot_token,
        "api_base": slack.base_url,
        "signing_secret": "sandbox-secret",
        "commit": inbox.commit,
        "clock": MovableClock(NOW),
        "shop": SHOP,
        "answers": Desk(),
    }
    return build_app(**(given | more))


@asynccontextmanager
async def connected(slack, inbox, **more):
    socket = SlackSocket(app_for(slack, inbox, **more), slack.app_token)
    await socket.start()
    try:
        yield socket
    finally:
        await socket.stop()


@asynccontextmanager
async def served(slack, app):
    """Serve an app's HTTP handler on a free port, and point the local Slack there."""
    handle = http_handler(app)

    async def answer(request):
        status, headers, body = await handle(request.path, request.headers, await request.read())
        return web.Response(status=status, headers=headers, body=body)

    server = web.Application()
    server.router.add_post("/slack/events", answer)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    slack.http_url = f"http://{host}:{port}/slack/events"
    try:
        yield
    finally:
        await runner.cleanup()
        await close_app(app)


@pytest.fixture
async def slack():
    timing = Timing(ack_within=timedelta(seconds=1.5), retry_after=())
    async with SandboxSlack(clock=MovableClock(NOW).now, timing=timing) as running:
        running.channel("C1", "wine")
        yield running


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
async def card(slack):
    poster = SlackPoster(slack.bot_token, slack.base_url)
    body = {"channel": "C1", "ts": None, "card": dataclasses.asdict(CARD)}
    await poster.deliver(
        Outgoing(key="r1", channel="slack", lane="case:k1", kind="card", body=body, not_before=NOW, created_at=NOW)
    )
    await poster.close()
    return slack.channel("C1").messages[0]


async def test_a_claim_is_committed_before_it_is_acknowledged(slack, inbox, card):
    """As long as the commit lasts Slack hears nothing; once it is done, the click is acknowledged."""
    mikkel = slack.member("Mikkel Dahl")
    inbox.gate.clear()
    async with connected(slack, inbox) as socket:
        assert socket.health.ok
        click = asyncio.create_task(mikkel.click(card, "Claim"))
        await asyncio.sleep(0.3)
        assert not click.done()
        inbox.gate.set()
        assert (await click).acked
    assert inbox.meanings == [CaseClaimed("k1", mikkel.id, "C1")]
    assert next(iter(inbox.rows.values())).lane == "case:k1"


async def test_a_claim_that_cannot_be_stored_is_not_acknowledged(slack, inbox, card):
    """Slack hears that it failed, and the person reads a reference and no more than that."""
    mikkel = slack.member("Mikkel Dahl")
    inbox.broken = True
    async with connected(slack, inbox):
        assert not (await mikkel.click(card, "Claim")).acked
        told = await mikkel.wait_ephemeral()
        inbox.broken = False
        assert (await mikkel.click(card, "Claim")).acked
    assert "reference" in told.text
    assert "disk" not in told.text
    assert inbox.meanings == [CaseClaimed("k1", mikkel.id, "C1")]


async def test_a_payload_that_comes_twice_changes_nothing(slack, inbox, card):
    """Slack may deliver a click again; it has the same key."""
    mikkel = slack.member("Mikkel Dahl")
    slack.repeat_next_envelope()
    async with connected(slack, inbox):
        await mikkel.click(card, "Claim")
    assert [kind for kind, _ in slack.delivered] == ["interactive", "interactive"]
    assert len(inbox.rows) == 1


async def test_a_reply_goes_from_form_to_preview_to_the_inbox(slack, inbox, card):
    """The form names customer and signature, the preview shows the exact message, and only *Send* stores it."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        assert (await mikkel.click(card, "Reply to customer")).acked
        form = render_view(await mikkel.wait_view())
        assert "Your reply to Freja Holm" in form
        written = "We found it & send it <today>!\nSorry."
        shown = await mikkel.submit({"text": written})
        assert (shown.action, inbox.rows) == ("push", {})
        assert f"{written}\n\n– Mikkel, Vinhuset (k1)" in render_view(mikkel.view)
        assert (await mikkel.submit()).action == "clear"
    assert mikkel.view is None
    assert inbox.meanings == [CaseReplied("k1", mikkel.id, "Mikkel", written)]


async def test_going_back_from_the_preview_keeps_the_words(slack, inbox, card):
    """*Back* leads to the form with what was written; what is sent is what the last preview showed."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        await mikkel.click(card, "Reply to customer")
        await mikkel.submit({"text": "To morrow"})
        await mikkel.close_view()
        assert "To morrow" in render_view(mikkel.view)
        await mikkel.submit({"text": "Tomorrow"})
        await mikkel.submit()
    assert [each.text for each in inbox.meanings] == ["Tomorrow"]


async def test_blanks_are_no_reply(slack, inbox, card):
    """A text of blanks is refused at its field and the form stays."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        await mikkel.click(card, "Reply to customer")
        refused = await mikkel.submit({"text": " \n "})
    assert (refused.action, list(refused.errors)) == ("errors", ["text"])


async def test_a_reply_that_cannot_be_stored_says_so_and_can_be_sent_again(slack, inbox, card):
    """The preview stays with a warning above the same words; a second press stores the reply once."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        await mikkel.click(card, "Reply to customer")
        await mikkel.submit({"text": "On its way"})
        before = render_view(mikkel.view)
        inbox.broken = True
        assert (await mikkel.submit()).action == "update"
        warned = render_view(mikkel.view)
        assert "It was not stored" in warned
        assert before.splitlines()[1:] == warned.splitlines()[2:]
        inbox.broken = False
        assert (await mikkel.submit()).action == "clear"
    assert [each.text for each in inbox.meanings] == ["On its way"]


async def test_a_remedy_is_noted_with_its_kind(slack, inbox, card):
    """Kind, value, root cause and note reach the inbox; without a note the form is refused; a failure is told at the field."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        await mikkel.click(card, "Remedy done")
        answers = {"kind": "Refund", "value": "50 kr.", "cause": "Carrier", "note": "  "}
        assert (await mikkel.submit(answers)).action == "errors"
        inbox.broken = True
        assert "not stored" in (await mikkel.submit({"note": "back on the card"})).errors["note"]
        inbox.broken = False
        assert (await mikkel.submit()).action == "close"
    assert inbox.meanings == [CaseRemedied("k1", mikkel.id, "refund", "back on the card", "50 kr.", "carrier")]


async def test_a_case_is_handed_over_with_a_reason(slack, inbox, card):
    """Team and reason reach the inbox."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        await mikkel.click(card, "Hand over")
        assert (await mikkel.submit({"team": "web", "reason": "their page promised it"})).action == "close"
    assert inbox.meanings == [CaseHandedOver("k1", mikkel.id, "web", "their page promised it")]


@pytest.mark.parametrize(
    ("rights", "words"),
    [({"guest": True}, "Guests"), ({"one_channel": True}, "Guests"), ({"stranger": True}, "Only members")],
)
@pytest.mark.parametrize("button", ["Claim", "Reply to customer", "Remedy done", "Hand over", "Note", "Put aside"])
async def test_who_is_no_full_member_is_kindly_refused(slack, inbox, card, rights, words, button):
    """Guests and people of other workspaces may press, and nothing comes of it but a word to them alone."""
    visitor = slack.member("Visitor Vi", **rights)
    async with connected(slack, inbox):
        assert (await visitor.click(card, button)).acked
    assert words in visitor.ephemerals[0].text
    assert (visitor.view, inbox.rows) == (None, {})


async def test_a_member_who_became_a_guest_cannot_send_an_open_form(slack, inbox, card):
    """Rights are looked at when a form is sent, not only when it is opened."""
    clock = MovableClock(NOW)
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox, clock=clock):
        await mikkel.click(card, "Remedy done")
        mikkel.person.guest = True
        clock.advance(timedelta(minutes=11))
        refused = await mikkel.submit({"kind": "Refund", "cause": "Carrier", "note": "50 kr."})
    assert "Guests" in refused.errors["note"]
    assert inbox.rows == {}


async def test_a_member_may_work_while_slack_does_not_say_who_they_are(slack, inbox, card):
    """Where users.info fails, the workspace alone decides, and the user name gives the first name."""
    slack.fail_next("users.info", "internal_error", times=9)
    mikkel, stranger = slack.member("Mikkel Dahl"), slack.member("Stranger", stranger=True)
    async with connected(slack, inbox):
        await mikkel.click(card, "Claim")
        await stranger.click(card, "Claim")
    assert inbox.meanings == [CaseClaimed("k1", mikkel.id, "C1")]
    assert next(iter(inbox.rows.values())).payload["name"] == "Mikkel"


async def test_nothing_typed_in_a_thread_leads_anywhere(slack, inbox, card):
    """Words, edits and files in the channel and below a card are acknowledged and forgotten (rule 5)."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        await mikkel.post(slack.channel("C1"), "Dear Freja, you get your money back")
        line = await mikkel.type_in_thread(card, "Dear Freja, it is our fault", files={"a.txt": b"x"})
        await mikkel.edit(line, "Dear Freja!")
        assert (await mikkel.slash("/anything", "x", slack.channel("C1"))).acked
    assert inbox.rows == {}
    assert slack.missed_acks == []
    assert {call.method for call in slack.calls} <= {"chat.postMessage", "apps.connections.open", "auth.test"}


async def test_signed_http_works_as_the_socket_does(slack, inbox, card):
    """Over HTTP the address is verified, a click is committed and forms are answered."""
    mikkel = slack.member("Mikkel Dahl")
    async with served(slack, app_for(slack, inbox)):
        assert await slack.verify_http_url()
        assert (await mikkel.click(card, "Claim")).acked
        await mikkel.click(card, "Reply to customer")
        assert (await mikkel.submit({"text": "Sorry"})).action == "push"
        assert (await mikkel.submit()).action == "clear"
        await mikkel.post(slack.channel("C1"), "hello")
        inbox.broken = True
        assert (await mikkel.click(card, "Claim")).reason == "http_500"
    assert [type(each) for each in inbox.meanings] == [CaseClaimed, CaseReplied]


async def test_a_request_that_slack_did_not_sign_is_refused(slack, inbox, card):
    """Another secret, no signature at all, or no request at all: refused, and nothing is stored."""
    mikkel = slack.member("Mikkel Dahl")
    async with served(slack, app_for(slack, inbox, signing_secret="another")):
        assert (await mikkel.click(card, "Claim")).reason == "http_401"
    for secret in ("sandbox-secret", ""):
        app = app_for(slack, inbox, signing_secret=secret)
        handle = http_handler(app)
        form = {"content-type": "application/x-www-form-urlencoded"}
        assert (await handle("/slack/events", form, b"payload=%7B%7D"))[0] in {401, 500}
        assert (await handle("/slack/events", form, b"payload={"))[0] == 400
        assert (await handle("/slack/events", form, b"\xff"))[0] == 400
        await close_app(app)
    assert inbox.rows == {}


async def test_a_start_while_slack_is_away_neither_fails_nor_gives_up(slack, inbox, card):
    """The program starts, says that it is not connected and why, and connects by itself once Slack is back."""
    slack.down = True
    socket = SlackSocket(
        app_for(slack, inbox),
        slack.app_token,
        startup_timeout=timedelta(seconds=0.3),
        retry_after=timedelta(seconds=0.1),
    )
    await socket.start()
    assert socket.health.ok is False
    assert "not connected" in socket.health.said
    slack.down = False
    await slack.wait_connected()
    assert (await slack.member("Mikkel Dahl").click(card, "Claim")).acked
    assert socket.health.ok
    await socket.stop()
    assert socket.health.said == "not connected: stopped"


async def test_a_wrong_app_token_is_said_and_does_not_hang(slack, inbox):
    """Where the SDK would try for ever in silence, start comes back and health names Slack's reason."""
    socket = SlackSocket(app_for(slack, inbox), "xapp-wrong", startup_timeout=timedelta(seconds=0.3))
    await socket.start()
    assert socket.health.said == "not connected: Slack says invalid_auth"
    assert "SLACK_APP_TOKEN" in socket.health.mend
    await socket.stop()


async def test_the_socket_comes_back_after_a_refresh(slack, inbox, card):
    """Slack renews connections now and then; clicks arrive afterwards."""
    async with connected(slack, inbox):
        await slack.refresh_sockets()
        await slack.wait_connected()
        assert (await slack.member("Mikkel Dahl").click(card, "Claim")).acked


async def test_stopping_lets_a_commit_in_flight_end(slack, inbox, card):
    """What is being stored when the program stops is stored and acknowledged."""
    mikkel = slack.member("Mikkel Dahl")
    inbox.gate.clear()
    async with connected(slack, inbox) as socket:
        click = asyncio.create_task(mikkel.click(card, "Claim"))
        await asyncio.sleep(0.2)
        stopping = asyncio.create_task(socket.stop())
        await asyncio.sleep(0.1)
        inbox.gate.set()
        await stopping
        assert (await click).acked
    assert len(inbox.rows) == 1


async def test_a_click_is_not_lost_where_slack_does_not_say_who_the_bot_is(slack, inbox, card):
    """Bolt alone would answer 200 and drop the click; here it is not acknowledged, and the next one works."""
    mikkel = slack.member("Mikkel Dahl")
    slack.fail_next("auth.test", "ratelimited")
    async with connected(slack, inbox):
        assert not (await mikkel.click(card, "Claim")).acked
        assert (await mikkel.click(card, "Claim")).acked
    assert len(inbox.rows) == 1


async def test_variables_of_slacks_oauth_change_nothing(slack, inbox, card, monkeypatch):
    """SLACK_CLIENT_ID and _SECRET in the environment would switch Bolt to OAuth; this app keeps its own token."""
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "secret")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-of-another-app")
    async with connected(slack, inbox):
        assert (await slack.member("Mikkel Dahl").click(card, "Claim")).acked
    assert len(inbox.rows) == 1


async def test_a_proxy_in_the_environment_is_not_asked_for_this_very_machine(slack, inbox, card, monkeypatch):
    """The SDK would send even calls to this machine through HTTPS_PROXY; a local Slack is reached all the same."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with connected(slack, inbox):
        mikkel = slack.member("Mikkel Dahl")
        await mikkel.click(card, "Remedy done")
        assert mikkel.view is not None


async def test_a_slow_look_up_does_not_keep_a_form_from_opening(slack, inbox, card):
    """Where the facts of a case take too long, the form opens without them, before its trigger expires."""
    desk, mikkel = Desk(), slack.member("Mikkel Dahl")
    desk.slow = True
    async with connected(slack, inbox, answers=desk):
        assert (await mikkel.click(card, "Reply to customer")).acked
        assert "Your reply to the customer" in render_view(mikkel.view)


def test_a_shop_without_remedies_or_teams_is_refused_at_the_start():
    """A form without a choice could never be sent; so it is said at once, naming the place."""
    for field, named in (("remedies", "remedies"), ("teams", "teams"), ("causes", "root causes")):
        with pytest.raises(ConfigurationError, match=f"there are no {named}"):
            build_app(
                token="xoxb-1",
                api_base="http://127.0.0.1:9/api/",
                signing_secret="",
                commit=Inbox.commit,
                clock=MovableClock(NOW),
                shop=dataclasses.replace(SHOP, **{field: {}}),
                answers=Desk(),
            )


# What else staff can do ----------------------------------------------------------------------------------------------


async def test_rarer_acts_stand_in_a_menu_and_reach_the_inbox(slack, inbox, card):
    """Put aside, call needed, note and a task for another team: each has its form, and is stored once it is sent."""
    mikkel = slack.member("Mikkel Dahl")
    until = NOW + timedelta(days=2)
    async with connected(slack, inbox):
        for item, answers in (
            ("Put aside", {"waits_for": "A parcel", "until": int(until.timestamp()), "reason": "from Turin"}),
            ("Call needed", {"reason": "they ask for it"}),
            ("Note", {"text": "they are friendly"}),
            ("Ask another team", {"team": "web", "text": "mend the page"}),
        ):
            assert (await mikkel.click(card, item)).acked
            assert (await mikkel.submit(answers)).action == "close", item
    assert inbox.meanings == [
        CaseSnoozed("k1", mikkel.id, until, "parcel", "from Turin"),
        CaseCallNeeded("k1", mikkel.id, "they ask for it"),
        CaseNoted("k1", mikkel.id, "they are friendly"),
        TaskAsked("k1", mikkel.id, "web", "mend the page"),
    ]


async def test_a_case_is_put_aside_neither_into_the_past_nor_for_ever(slack, inbox, card):
    """A moment that has passed, or is too far, is refused at its field; the form proposes the next working day."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        await mikkel.click(card, "Put aside")
        proposed = mikkel.view["state"]["values"]["until"]["until"]["selected_date_time"]
        asked = {"waits_for": "A parcel", "What is awaited, in a few words": "the new dress"}
        refused = await mikkel.submit({**asked, "until": int(NOW.timestamp())})
        too_far = await mikkel.submit({**asked, "until": int((NOW + timedelta(days=90)).timestamp())})
    assert datetime.fromtimestamp(proposed, UTC) == WEEK.add_business_days(NOW, 1)
    assert "passed" in refused.errors["until"]
    assert "60 days at most" in too_far.errors["until"]
    assert inbox.rows == {}


async def test_a_reply_may_begin_with_a_saved_answer(slack, inbox, card):
    """A saved answer fills the field, another takes its place; what was written by hand stays above."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        await mikkel.click(card, "Reply to customer")
        assert "It never came" in render_view(mikkel.view)
        assert (await mikkel.click_in_view("saved_answer", "We found it")).acked
        assert "Hej Freja, vi har fundet den." in render_view(mikkel.view)
        await mikkel.click_in_view("saved_answer", "Sorry")
        assert "vi har fundet den" not in render_view(mikkel.view)
        await mikkel.submit({"Your reply to Freja Holm": "Kære Freja"})
        await mikkel.close_view()
        await mikkel.click_in_view("saved_answer", "We found it")
        await mikkel.submit()
        await mikkel.submit()
    assert [each.text for each in inbox.meanings] == ["Kære Freja\n\nHej Freja, vi har fundet den."]


async def test_a_preview_hints_at_words_that_promise_and_still_lets_them_go(slack, inbox, card):
    """What may mislead is named with advice, in the language of the reply; whoever writes decides."""
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox):
        await mikkel.click(card, "Reply to customer")
        await mikkel.submit({"text": "Vi lover, at den kommer"})
        assert "“Vi lover” – This promises something" in render_view(mikkel.view)
        assert (await mikkel.submit()).action == "clear"
        await mikkel.click(card, "Reply to customer")
        await mikkel.submit({"text": "Den er sendt i dag"})
        assert "Please look again" not in render_view(mikkel.view)
    assert [each.text for each in inbox.meanings] == ["Vi lover, at den kommer"]


async def test_only_the_members_of_a_team_work_on_its_cases(slack, inbox, card):
    """Named members, the lead and the CX owner may; others are told kindly whom to ask, alone and in forms as well."""
    desk = Desk(team="web")
    mikkel = slack.member("Mikkel Dahl")
    async with connected(slack, inbox, answers=desk):
        await mikkel.click(card, "Claim")
        assert "you are not among its members. Please ask <@U0LEAD>" in mikkel.ephemerals[0].text
        for user in ("U0WEB", "U0LEAD", "U0CX"):
            await slack.member("Somebody", user).click(card, "Claim")
        desk.team = "wine"
        await mikkel.click(card, "Note")
        desk.team = "web"
        assert "Please ask the team's lead" in (await mikkel.submit({"text": "hello"})).errors["text"]
    assert [each.by for each in inbox.meanings] == ["U0WEB", "U0LEAD", "U0CX"]


async def test_where_no_members_are_named_those_in_the_channel_work(slack, inbox, card):
    """A team without a list is whoever is in its channel; who joins may at once, and Slack's silence keeps nobody out."""
    desk, mikkel = Desk(team="wine"), slack.member("Mikkel Dahl")
    elsewhere = dataclasses.replace(SHOP, teams={**SHOP.teams, "wine": Team("wine", "#cellar", WEEK)})
    cellar = slack.channel("C5", "cellar")
    async with connected(slack, inbox, answers=desk, shop=elsewhere):
        await mikkel.click(card, "Claim")
        assert "Please join #cellar first" in mikkel.ephemerals[0].text
        cellar.member_ids.add(mikkel.id)
        await mikkel.click(card, "Claim")
        assert len(inbox.rows) == 1
        slack.fail_next("conversations.members", "internal_error", times=9)
        await slack.member("Bo Dahl").click(card, "Claim")
    assert len(inbox.rows) == 1, "the members were known a moment ago"


async def test_a_case_that_is_not_known_here_says_so(slack, inbox, card):
    """A card of another database, or of a case that was erased: kindly refused, and nothing is stored."""
    mikkel = slack.member("Mikkel Dahl")
    card.blocks[-1]["elements"][0]["value"] = "gone"
    async with connected(slack, inbox):
        await mikkel.click(card, "Claim")
    assert "no longer known here" in mikkel.ephemerals[0].text
    assert inbox.rows == {}


async def test_the_second_team_says_that_its_task_is_done(slack, inbox):
    """The task stands in their channel with a button; only they, the lead or the CX owner may press it."""
    task = TaskCard(
        id="t1",
        case_id="k1",
        team="web",
        for_team="wine",
        text="mend the page",
        asked_by="U1",
        due="Tue 10:00",
        due_reason="one business day",
        is_done=False,
        done_by=None,
        note="",
        light="green",
        light_word="in good time",
        light_shape="🟢",
        customer="Freja",
        sale_id="1001",
    )
    poster = SlackPoster(slack.bot_token, slack.base_url)
    body = {"channel": "C1", "ts": None, "task": dataclasses.asdict(task)}
    await poster.deliver(
        Outgoing(key="r2", channel="slack", lane="case:k1", kind="task", body=body, not_before=NOW, created_at=NOW)
    )
    await poster.close()
    message = slack.channel("C1").messages[0]
    mikkel, web = slack.member("Mikkel Dahl"), slack.member("Ida Web", "U0WEB")
    async with connected(slack, inbox):
        await mikkel.click(message, "Done")
        assert "team web" in mikkel.ephemerals[0].text
        await web.click(message, "Done")
        assert (await web.submit({"note": "done by noon"})).action == "close"
    assert inbox.meanings == [TaskFinished("k1", "U0WEB", "t1", "done by noon")]


# The home tab and the command ------------------------------------------------------------------------------------------


async def test_the_home_tab_shows_my_cases_and_links_to_their_cards(slack, inbox):
    """Whoever opens it sees what is theirs; health and pause only those who answer for the program."""
    slack.channel("C1").member_ids.add("U0MIK")
    mikkel, owner, admin = (
        slack.member("Mikkel Dahl", "U0MIK"),
        slack.member("Carla Owner", "U0CX"),
        slack.member("Ada Admin", admin=True),
    )
    desk = Desk()
    async with connected(slack, inbox, answers=desk):
        assert (await mikkel.open_home()).acked
        shown = render_view(mikkel.home)
        assert "🔺 *Freja Holm* · two bottles, order 1001" in shown
        assert "3 opened" in shown
        assert "Health" not in shown.title()
        button = next(b["accessory"] for b in mikkel.home["blocks"] if "accessory" in b)
        assert button["url"] == "https://sandbox.slack.com/archives/C1/p172"
        assert (await mikkel.click_in_view("Open", home=True)).acked
        await owner.open_home()
        assert "HEALTH" in render_view(owner.home)
        await owner.click_in_view("Pause the bot", home=True)
        assert "paused by U0CX" in render_view(owner.home)
        await owner.click_in_view("Resume", home=True)
        assert "All is well" in render_view(owner.home)
        await admin.open_home()
        assert "HEALTH" in render_view(admin.home)
    assert desk.asked[0] == ("U0MIK", ("wine",))
    assert desk.asked[1] == ("U0CX", ("wine", "web", "fallback"))
    assert inbox.rows == {}


async def test_a_guest_sees_no_case_in_the_home_tab(slack, inbox):
    """Guests and people in no team are shown no case; they read what to do."""
    slack.channel("C1").member_ids.add("U0GUEST")
    guest, nobody = slack.member("Visitor Vi", "U0GUEST", guest=True), slack.member("Nora New")
    desk = Desk()
    async with connected(slack, inbox, answers=desk):
        await guest.open_home()
        await nobody.open_home()
    for each in (guest, nobody):
        assert "You are in no team of Vinhuset yet" in render_view(each.home)
        assert "Freja" not in render_view(each.home)


@pytest.mark.parametrize("over_http", [False, True])
async def test_the_command_answers_whoever_asks_alone(slack, inbox, over_http):
    """`why` and `find` are answered ephemerally, over Socket Mode as over HTTP; anything else brings the help."""
    channel = slack.channel("C1")
    channel.member_ids.add("U0MIK")
    mikkel = slack.member("Mikkel Dahl", "U0MIK")
    app = app_for(slack, inbox)
    async with served(slack, app) if over_http else connected(slack, inbox):
        for text, answer in (
            ("why 1001", "*Sale 1001*\n• question – waiting: quiet hours &lt;!channel&gt;"),
            ("why 7", "There is no sale 7."),
            ("find fre", "*Freja &lt;Holm&gt;*, order 1001 · two bottles · delivered · <https://sandbox"),
            ("find <!channel>", "No sale has “&lt;!channel&gt;”"),
            ("", "`/aftersale find NAME`"),
            ("help", "`/aftersale why ORDER`"),
            ("pause", "`/aftersale why ORDER`"),
        ):
            assert (await mikkel.slash("/aftersale", text, channel)).acked
            assert answer in mikkel.ephemerals[-1].text, text
    assert channel.messages == []
    await close_app(app)


async def test_the_command_tells_a_guest_nothing(slack, inbox):
    """Guests, strangers and people in no team get a kind word and no customer's name."""
    channel = slack.channel("C1")
    async with connected(slack, inbox):
        for person, words in (
            (slack.member("Visitor Vi", guest=True), "Guests"),
            (slack.member("Stranger", stranger=True), "Only members"),
        ):
            await person.slash("/aftersale", "find fre", channel)
            assert words in person.ephemerals[-1].text
        nobody = slack.member("Nora New")
        await nobody.slash("/aftersale", "find fre", slack.channel("C8", "random"))
        assert "Only members of a team" in nobody.ephemerals[-1].text


async def test_who_leaves_the_workspace_is_told_of_once(slack, inbox):
    """That somebody left, and is back, reaches the inbox; what else changes about people does not."""
    lead, mikkel = slack.member("Lena Lead", "U0LEAD"), slack.member("Mikkel Dahl", "U0MIK")
    async with connected(slack, inbox):
        await mikkel.come_back()
        await lead.leave()
        await lead.leave()
        await lead.come_back()
        await mikkel.leave()
    assert inbox.meanings == [PersonLeft("U0LEAD"), PersonLeft("U0LEAD", left=False), PersonLeft("U0MIK")]
