"""The engine, one behaviour at a time."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.durations import Duration
from bot.flows.effects import (
    Acknowledge,
    CloseQuestion,
    CompleteSale,
    Finish,
    Ignored,
    OpenCase,
    RecordVerdict,
    SendQuestion,
    SendReminder,
    SendText,
    StartTimer,
    StopTimers,
    TellCase,
)
from bot.flows.engine import MAX_STEPS_PER_EVENT, MAX_VISITS, Transition, step
from bot.flows.events import Begun, Event, Media, Stopped, Tapped, TimerFired, Unreachable, Withdrawn, Wrote
from bot.flows.model import Ask, Choice, End, Factor, Flow, Purpose, Remind, Say, Silence, Step, Trigger, Wait
from bot.flows.state import State

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
DAY = Duration(span=timedelta(days=1))
YES, NOT_QUITE, NO = range(3)


def flow_of(*steps: Step) -> Flow:
    return Flow(
        "test",
        Purpose.SERVICE,
        (Trigger("order.delivered", DAY, steps[0].name),),
        {each.name: each for each in steps},
        Duration(span=timedelta(days=45)),
    )


FLOW = flow_of(
    Ask(
        "arrived",
        {"en": "All as promised?"},
        (
            Choice("yes", {"en": "👍 Yes", "da": "👍 Ja"}, "used", {Factor.PROMISE: 1}),
            Choice("not_quite", {"en": "Not quite"}, "what", {Factor.PROMISE: 0.5}, unhappy=True),
            Choice("no", {"da": "Nej", "en": "No"}, "what", {Factor.PROMISE: 0}, "delivery"),
        ),
        Silence(DAY),
        Remind(DAY, 2),
        touchpoint="seller",
    ),
    Ask("what", {"en": "What was wrong?"}, (), Silence(DAY, "over"), Remind(DAY, 1), "sorry", "product"),
    Say("sorry", {"en": "Thank you for telling us"}),
    Wait("pause", DAY, "used"),
    Ask(
        "used",
        {"en": "Did it work?"},
        (
            Choice("yes", {"en": "Yes"}, None, {Factor.QUALITY: 1}, completes=True),
            Choice("later", {"en": "Later"}, "pause"),
        ),
        Silence(DAY, "quiet"),
    ),
    End("over"),
    End("quiet", "silent"),
)


def play(*events: Event, flow: Flow = FLOW, state: State | None = None) -> Transition:
    """Let `events` happen one after the other; the answer to the last one comes back."""
    last = Transition(state or State(), ())
    for event in events:
        last = step(flow, last.state, event, NOW)
    return last


def kinds(transition: Transition) -> list[type]:
    return [type(effect) for effect in transition.effects]


BEGUN = Begun("arrived")


def test_beginning_starts_the_expiry_and_asks() -> None:
    """The first question goes out and the whole conversation gets its end."""
    got = play(BEGUN)
    assert got.effects == (StartTimer("expire", 0, FLOW.expires), SendQuestion("arrived", 1))
    assert (got.state.status, got.state.step, got.state.turn) == ("asking", "arrived", 1)


def test_a_happy_tap_records_and_moves_on() -> None:
    """The keyboard closes, its timers stop, the verdict stands, the next question goes out, and no case opens."""
    got = play(BEGUN, Tapped(1, YES))
    assert got.effects == (
        CloseQuestion("arrived", 1, YES),
        StopTimers(("remind", "silence")),
        RecordVerdict("arrived", 1, "yes", {Factor.PROMISE: 1}, "seller"),
        SendQuestion("used", 2),
    )


def test_an_unhappy_tap_opens_a_case_with_the_touchpoint_of_the_choice() -> None:
    """A zero opens a case though the flow never said `unhappy`, and the label tells what was said."""
    got = play(BEGUN, Tapped(1, NO))
    assert OpenCase("unhappy", "arrived", {Factor.PROMISE: 0}, "delivery", "No") in got.effects
    assert got.state.unhappy


def test_a_zero_never_completes_a_sale() -> None:
    """A flow made by hand cannot let an unhappy reply complete the sale."""
    odd = Choice("odd", {"en": "Odd"}, factors={Factor.QUALITY: 0}, completes=True)
    got = play(Begun("q"), Tapped(1, 0), flow=flow_of(Ask("q", {"en": "?"}, (odd,), Silence(DAY))))
    assert OpenCase in kinds(got)
    assert CompleteSale not in kinds(got)


def test_completing_is_a_tap_and_then_the_end() -> None:
    """The customer's own yes completes the sale; the conversation finishes answered, all timers stopped before."""
    got = play(BEGUN, Tapped(1, YES), Tapped(2, 0))
    assert CompleteSale() in got.effects
    assert got.effects[-2:] == (StopTimers(), Finish("answered"))
    assert got.state.outcome == "answered"


def test_a_second_tap_changes_nothing() -> None:
    """A double tap, or one on another button of the same question, is ignored."""
    before = play(BEGUN, Tapped(1, YES)).state
    assert step(FLOW, before, Tapped(1, NO), NOW) == Transition(before, (Ignored("already answered"),))


@pytest.mark.parametrize(
    "event",
    [
        Tapped(1, 3),
        Tapped(1, -1),
        Tapped(0, 0),
        Tapped(7, 0),
        BEGUN,
        Wrote("  "),
        TimerFired("silence", 0),
        TimerFired("remind", 2),
        TimerFired("wait", 1),
        TimerFired("expire", 1),
    ],
)
def test_what_does_not_fit_is_ignored(event: Event) -> None:
    """An event that does not fit leaves the state as it was and says why, in one effect."""
    before = play(BEGUN).state
    got = step(FLOW, before, event, NOW)
    assert got.state == before
    assert kinds(got) == [Ignored]


def test_an_unknown_first_step_is_ignored() -> None:
    """A conversation cannot begin at a step that the flow does not have."""
    assert kinds(play(Begun("nowhere"))) == [Ignored]


def test_a_late_tap_reopens_a_silent_conversation() -> None:
    """After silence the tap still counts, and the conversation goes on with a new expiry."""
    got = play(BEGUN, TimerFired("silence", 1), Tapped(1, YES))
    assert kinds(got) == [CloseQuestion, RecordVerdict, StartTimer, SendQuestion]
    assert got.state.status == "asking"
    assert got.state.outcome is None


LATER = flow_of(
    Ask("a", {"en": "?"}, (Choice("no", {"en": "No"}, "c", {Factor.SERVICE: 0}),), Silence(DAY, "b")),
    Ask("b", {"en": "?"}, (Choice("yes", {"en": "Yes"}),), Silence(DAY, "w")),
    Wait("w", DAY, "b"),
    Say("c", {"en": "Sorry"}),
)


def test_a_late_tap_beside_an_open_question_only_records() -> None:
    """Where another question is open, a late unhappy tap opens its case but asks nothing more."""
    got = play(Begun("a"), TimerFired("silence", 1), Tapped(1, 0), flow=LATER)
    assert kinds(got) == [CloseQuestion, RecordVerdict, OpenCase]
    assert (got.state.step, got.state.turn, got.state.status) == ("b", 2, "asking")


def test_a_late_tap_in_a_pause_ends_the_pause() -> None:
    """In a pause a late tap moves on, and the pause's timer is stopped."""
    got = play(Begun("a"), TimerFired("silence", 1), TimerFired("silence", 2), Tapped(1, 0), flow=LATER)
    assert StopTimers(("wait",)) in got.effects
    assert got.effects[-3:] == (SendText("c", 4), StopTimers(), Finish("answered"))


def test_after_stop_a_tap_is_heard_but_not_answered() -> None:
    """The customer's own unhappy tap after /stop is a verdict and a case; nothing goes out and it stays stopped."""
    got = play(BEGUN, Stopped(), Tapped(1, NO))
    assert kinds(got) == [CloseQuestion, RecordVerdict, OpenCase]
    assert (got.state.status, got.state.outcome) == ("finished", "stopped")


def test_stop_after_the_end_keeps_a_late_tap_from_waking_it() -> None:
    """A conversation that ended silent and was stopped later keeps its outcome and says nothing more."""
    got = play(BEGUN, TimerFired("silence", 1), Stopped(), Tapped(1, YES))
    assert kinds(got) == [CloseQuestion, RecordVerdict]
    assert got.state.outcome == "silent"
    assert kinds(play(BEGUN, Stopped(), Stopped())) == [Ignored]


def test_a_late_tap_after_withdrawal_only_records() -> None:
    """A returned order is not asked about again, but what the customer says about it counts."""
    got = play(BEGUN, Withdrawn("order.returned"), Tapped(1, NO))
    assert kinds(got) == [CloseQuestion, RecordVerdict, OpenCase]
    assert got.state.outcome == "withdrawn"


@pytest.mark.parametrize("text", ["yes", "Yes!", " JA ", "ja 👍", "👍 Yes", "Ja."])
def test_words_that_are_a_label_are_a_tap(text: str) -> None:
    """The label of one button, typed in any language, is that button; the words stand in the verdict."""
    got = play(BEGUN, Wrote(text))
    assert RecordVerdict("arrived", 1, "yes", {Factor.PROMISE: 1}, "seller", text) in got.effects
    assert got.state.step == "used"


@pytest.mark.parametrize("text", ["yes?", "👎 yes", "yes but the cork was broken", "👍", "yesno", "tak"])
def test_words_that_only_look_like_a_label_go_to_a_person(text: str) -> None:
    """Anything beside the bare label is not guessed at: a case, one thank-you, and the question stays open."""
    got = play(BEGUN, Wrote(text))
    assert got.effects == (
        RecordVerdict("arrived", 1, None, {}, "seller", text),
        OpenCase("unclear", "arrived", {}, "seller", text),
        StopTimers(("remind",)),
        Acknowledge("passed_on", 1),
    )
    assert got.state.status == "asking"


def test_a_label_under_a_picture_is_not_a_tap() -> None:
    """A picture says something that the words do not, so a person looks at it."""
    assert OpenCase in kinds(play(BEGUN, Wrote("yes", (Media("photo", "f1"),))))


def test_further_words_join_the_case_without_a_second_thank_you() -> None:
    """Only the first words of a turn are acknowledged."""
    assert kinds(play(BEGUN, Wrote("hm"), Wrote("and another thing"))) == [RecordVerdict, TellCase]


def test_words_at_a_question_with_an_open_case_join_it() -> None:
    """In an unhappy conversation words belong to the case that stands already."""
    state = State("asking", "used", 2, 2, unhappy=True)
    assert kinds(play(Wrote("it broke"), state=state)) == [RecordVerdict, TellCase, StopTimers, Acknowledge]


def test_the_answer_to_a_question_for_words_goes_on() -> None:
    """Words that were asked for after an unhappy tap join the case, with their pictures, and the next step follows."""
    photo = Media("photo", "f1", "look")
    got = play(BEGUN, Tapped(1, NO), Wrote("the cork", (photo,)))
    assert got.effects == (
        CloseQuestion("what", 2, None),
        StopTimers(("remind", "silence")),
        RecordVerdict("what", 2, None, {}, "product", "the cork", (photo,)),
        TellCase("the cork", (photo,)),
        SendText("sorry", 3),
        StopTimers(),
        Finish("answered"),
    )


def test_asked_words_of_somebody_not_unhappy_are_read_by_a_person() -> None:
    """Nobody can tell good words from bad ones but a person; without a next step the bot says that it passed them on."""
    got = play(Begun("q"), Wrote("well …"), flow=flow_of(Ask("q", {"en": "?"}, (), Silence(DAY))))
    assert OpenCase("unclear", "q", {}, None, "well …") in got.effects
    assert Acknowledge("passed_on", 1) in got.effects


DONE = (BEGUN, Tapped(1, YES), Tapped(2, 0))


def test_thanks_after_the_end_needs_nobody() -> None:
    """A plain word of thanks is recorded and thanked once; no case."""
    assert kinds(play(*DONE, Wrote("Mange tak! ❤️"))) == [RecordVerdict, Acknowledge]
    assert kinds(play(*DONE, Wrote("tak"), Wrote("👍🏽"))) == [RecordVerdict]


@pytest.mark.parametrize("text", ["thanks for nothing", "tak?", "👎", "🙂 but it leaks"])
def test_other_words_after_the_end_go_to_a_person(text: str) -> None:
    """Whatever is more than thanks becomes a case, acknowledged once; what follows joins it."""
    got = play(*DONE, Wrote(text))
    assert kinds(got) == [RecordVerdict, OpenCase, Acknowledge]
    assert kinds(play(Wrote("more"), state=got.state)) == [RecordVerdict, TellCase]


def test_each_acknowledgement_has_a_number_of_its_own() -> None:
    """Words at the question and words after the end are thanked by two different messages."""
    first = play(BEGUN, Wrote("hm"))
    second = play(TimerFired("silence", 1), Wrote("hello?"), state=first.state)
    assert first.effects[-1] == Acknowledge("passed_on", 1)
    assert second.effects[-1] == Acknowledge("passed_on", 2)


def test_words_before_the_beginning_and_after_stop_are_kept() -> None:
    """Words reach a person in every status; after /stop without a word back."""
    assert kinds(play(Wrote("where is it?"))) == [RecordVerdict, OpenCase, Acknowledge]
    assert kinds(play(BEGUN, Stopped(), Wrote("why?"))) == [RecordVerdict, OpenCase]
    assert kinds(play(BEGUN, Tapped(1, NO), Stopped(), Wrote("why?"))) == [RecordVerdict, TellCase]


def test_at_most_as_many_reminders_as_the_flow_says() -> None:
    """The reminders are numbered, and the one too many is ignored."""
    second = play(BEGUN, TimerFired("remind", 1), TimerFired("remind", 1))
    assert second.effects == (SendReminder("arrived", 1, 2),)
    assert kinds(play(TimerFired("remind", 1), state=second.state)) == [Ignored]


def test_never_more_than_two_reminders() -> None:
    """A flow made by hand cannot ask for a third reminder."""
    ask = Ask("q", {"en": "?"}, (Choice("yes", {"en": "Yes"}),), Silence(DAY), Remind(DAY, 9))
    got = play(Begun("q"), *[TimerFired("remind", 1)] * 3, flow=flow_of(ask))
    assert kinds(got) == [Ignored]
    assert got.state.reminded == 2


def test_no_reminder_after_words_or_an_open_case() -> None:
    """Who has replied, or waits for us, is not reminded."""
    assert kinds(play(BEGUN, Wrote("hm"), TimerFired("remind", 1))) == [Ignored]
    assert kinds(play(BEGUN, Tapped(1, NO), TimerFired("remind", 2))) == [Ignored]


def test_silence_takes_the_way_out() -> None:
    """Without a next step the end is silent; after words it is answered; a step of the flow may say which."""
    assert play(BEGUN, TimerFired("silence", 1)).effects == (
        CloseQuestion("arrived", 1, None),
        StopTimers(("remind",)),
        StopTimers(),
        Finish("silent"),
    )
    assert play(BEGUN, Wrote("hm"), TimerFired("silence", 1)).state.outcome == "answered"
    assert play(BEGUN, Tapped(1, YES), TimerFired("silence", 2)).state.outcome == "silent"
    assert play(BEGUN, Tapped(1, NO), TimerFired("silence", 2)).state.outcome == "answered"


def test_a_pause_ends_when_its_moment_comes() -> None:
    """The pause has its own turn and timer; its end asks the next question."""
    paused = play(BEGUN, Tapped(1, YES), Tapped(2, 1))
    assert paused.effects[-1] == StartTimer("wait", 3, DAY)
    assert play(TimerFired("wait", 3), state=paused.state).effects == (SendQuestion("used", 4),)


def test_expiry_closes_and_finishes() -> None:
    """What expires unanswered is expired; where the customer had spoken it is answered."""
    assert kinds(play(BEGUN, TimerFired("expire", 0))) == [CloseQuestion, StopTimers, Finish]
    assert play(BEGUN, TimerFired("expire", 0)).state.outcome == "expired"
    assert play(BEGUN, Tapped(1, NO), TimerFired("expire", 0)).state.outcome == "answered"
    assert kinds(play(*DONE, TimerFired("expire", 0))) == [Ignored]


def test_ends_from_outside() -> None:
    """Stop and withdrawal take the buttons away, a blocked chat cannot be edited; a second end is ignored."""
    assert kinds(play(BEGUN, Stopped())) == [CloseQuestion, StopTimers, Finish]
    assert play(BEGUN, Withdrawn("x")).effects[-1] == Finish("withdrawn", "x")
    assert play(BEGUN, Unreachable("blocked")).effects == (StopTimers(), Finish("unreachable", "blocked"))
    assert kinds(play(BEGUN, Withdrawn("x"), Unreachable("y"))) == [Ignored]


def test_a_circle_of_messages_ends_politely() -> None:
    """A flow that only talks to itself is stopped at the limit within one event."""
    got = play(Begun("a"), flow=flow_of(Say("a", {"en": "x"}, "b"), Say("b", {"en": "x"}, "a")))
    assert kinds(got).count(SendText) == MAX_STEPS_PER_EVENT
    assert got.effects[-1] == Finish("looped")


def test_a_circle_of_pauses_ends_politely() -> None:
    """A flow that waits for ever is stopped at the limit of a conversation."""
    flow = flow_of(Wait("a", DAY, "a"))
    got = play(Begun("a"), flow=flow)
    while got.state.status == "waiting":
        got = step(flow, got.state, TimerFired("wait", got.state.turn), NOW)
    assert got.state.visits == MAX_VISITS
    assert got.state.outcome == "looped"


def test_a_way_to_nowhere_ends_with_the_reason() -> None:
    """A tap whose next step is missing is still recorded; the conversation ends and says why."""
    lost = Ask("q", {"en": "?"}, (Choice("yes", {"en": "Yes"}, "gone"),), Silence(DAY))
    got = play(Begun("q"), Tapped(1, 0), flow=flow_of(lost))
    assert RecordVerdict in kinds(got)
    assert got.effects[-1] == Finish("withdrawn", "step 'gone' is not in this version of the flow")


def test_a_state_at_a_step_that_is_gone_is_survived() -> None:
    """Where the flow no longer knows the open step, timers are ignored and words still reach a person."""
    state = State("asking", "gone", 1, 1)
    assert kinds(play(TimerFired("silence", 1), state=state)) == [Ignored]
    assert OpenCase in kinds(play(Wrote("yes"), state=state))
