"""Each class of fault, planted in a shipped flow, is found at its place, with its mend; and nothing that is read raises."""

from collections.abc import Mapping
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.flows.check import Finding, check_flow
from bot.flows.parse import read_flow
from bot.flows.phrases import read_phrases

TOUCHPOINTS = (
    "invoice",
    "site",
    "mail",
    "seller",
    "material",
    "reception",
    "packaging",
    "delivery",
    "product",
    "support",
)
TEAMS = ("delivery", "wine", "fallback")
LIBRARY = files("bot.flows").joinpath("library")
SHIPPED: Mapping[str, str] = {
    each.name.removesuffix(".yaml"): each.read_text("utf-8")
    for each in LIBRARY.iterdir()
    if each.name.endswith(".yaml") and each.name != "phrases.yaml"
}
REVIEW = """\
  review:
    offer: WHAT
    text: { en: "Tell others.", da: "Fortæl andre." }
    label: { en: "Review", da: "Anmeld" }
"""


def found_in(text: str) -> list[Finding]:
    """Give all that is found in a text: what keeps it from being read, or else what is said of the flow."""
    flow, errors = read_flow(text, "f.yaml")
    if flow is None:
        return [Finding("error", each.reason, each.file, each.line, each.column, each.hint) for each in errors]
    return check_flow(flow, languages=("en", "da"), touchpoints=TOUCHPOINTS, teams=TEAMS, links=(), file="f.yaml")


def planted(flow: str, *changes: tuple[str, str]) -> str:
    """Give the text of a shipped flow with faults planted."""
    text = SHIPPED[flow]
    for old, new in changes:
        assert old in text, f"{flow} has no {old!r} to plant a fault in"
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize("flow", sorted(SHIPPED))
def test_the_shipped_flows_are_without_fault(flow: str) -> None:
    """So whatever is found in a planted one was planted."""
    assert found_in(SHIPPED[flow]) == []


DEALING = "  dealing:\n"
FAULTS = {
    "unknown step": ("after_delivery", [("next: dealing }", "next: dealng }")], "error", "there is no step 'dealng'", "did you mean 'dealing'?"),
    "unknown key": ("after_delivery", [("silence: { after: 3d, next: close }", "silnce: { after: 3d, next: close }")], "error", "knows no key 'silnce'", "did you mean 'silence'?"),
    "unknown kind": ("after_delivery", [("  thanks:\n    say:", "  thanks:\n    sya:")], "error", "must have exactly one of say", "did you mean 'say'?"),
    "unknown event": ("after_delivery", [("order.delivered, after", "order.deliverd, after")], "error", "'order.deliverd'", "did you mean 'order.delivered'?"),
    "unknown name in a text": ("after_delivery", [("{{ customer.first_name }}", "{{ custmer.first_name }}")], "error", "there is no name 'custmer'; did you mean 'customer'?", ""),
    "unknown field in a text": ("after_delivery", [("{{ shop.name }}", "{{ shop.nme }}")], "error", "'shop' has no 'nme'; did you mean 'name'?", ""),
    "unknown filter in a text": ("after_delivery", [("case.due_at | moment", "case.due_at | momnt")], "error", "there is no filter 'momnt'; did you mean 'moment'?", ""),
    "unknown name in a condition": ("after_delivery", [(DEALING, "  gate: { branch: { if: sael.total > 5, next: what }, otherwise: thanks }\n" + DEALING), ("next: dealing }", "next: gate }"), ("  thanks:", "  unused: { go_to: dealing }\n  thanks:")], "error", "there is no name 'sael' in a condition; did you mean 'sale'?", ""),
    "unknown choice in a condition": ("after_delivery", [(DEALING, "  gate: { branch: { if: \"answers.arrived == 'yess'\", next: dealing }, otherwise: thanks }\n" + DEALING), ("next: dealing }", "next: gate }")], "error", "'arrived' has no choice 'yess'; did you mean 'yes'?", ""),
    "unknown note": ("after_delivery", [(DEALING, "  gate: { branch: { if: vars.rounds > 2, next: dealing }, otherwise: thanks }\n" + DEALING), ("next: dealing }", "next: gate }")], "error", "'vars' has no 'rounds'", ""),
    "unreadable condition": ("after_delivery", [(DEALING, "  gate: { branch: { if: sale.total >, next: dealing }, otherwise: thanks }\n" + DEALING), ("next: dealing }", "next: gate }")], "error", "the condition cannot be read", ""),
    "forbidden in a condition": ("after_delivery", [(DEALING, "  gate: { branch: { if: \"'x' * 99999\", next: dealing }, otherwise: thanks }\n" + DEALING), ("next: dealing }", "next: gate }")], "error", "'*' is not allowed in a condition", ""),
    "unreachable step": ("after_delivery", [("  thanks:\n", "  lonely: { say: { en: Hm, da: Hm } }\n  thanks:\n")], "error", "no way leads to step 'lonely'", "lead to it, or take it out"),
    "dead end after a tap": ("after_delivery", [("factors: { promise: 1 },   next: dealing", "factors: { promise: 1 },   next: close")], "warning", "who taps 'yes' hears nothing in return", "say a word"),
    "dead end after a pause": ("after_first_use", [("pause: { wait: 5d, next: tried_again }", "pause: { wait: 5d }")], "warning", "nothing follows the pause 'pause'", "next: …"),
    "dead end in a branch": ("after_delivery", [(DEALING, "  gate: { branch: { if: sale.total > 5, next: dealing } }\n" + DEALING), ("next: dealing }", "next: gate }")], "warning", "where no condition of 'gate' holds", "otherwise: …"),
    "no way to an end": ("on_the_way", [("    say:\n      en: >-\n        I am sorry", "    ask:\n      en: >-\n        I am sorry"), ("hvad der kan gøres.", "hvad der kan gøres.\n    silence: { after: 1d, next: delayed }\n    next: delayed")], "warning", "is asked again and again", "let silence lead to an end"),
    "question with no timeout": ("after_delivery", [("    silence: { after: 7d, next: close_silent }\n", "")], "warning", "'arrived' does not say what follows silence", "write it out"),
    "timeout of no time": ("after_delivery", [("silence: { after: 7d, next: close_silent }", "silence: { after: 0s, next: close_silent }")], "error", "silence after no time at all", "7d"),
    "loop that never waits": ("after_delivery", [("  thanks:\n    say:", "  thanks:\n    next: passed_on\n    say:"), ("  passed_on:\n    say:", "  passed_on:\n    next: thanks\n    say:")], "error", "round in a circle without a pause or a question", "ask a question, or end"),
    "loop that waits but never asks": ("after_first_use", [("  later:\n    say:", "  later:\n    next: rest\n    say:"), ("  result:\n", "  rest: { wait: 9d, next: later }\n  result:\n")], "error", "never asks anything, so it never ends", "ask a question, or end"),
    "loop of gates": ("after_delivery", [(DEALING, "  gate: { branch: { if: unhappy, next: gate }, otherwise: dealing }\n" + DEALING), ("next: dealing }", "next: gate }")], "error", "round in a circle without a pause or a question", "ask a question, or end"),
    "silence that asks for ever": ("after_first_use", [("silence: { after: 7d, next: close_silent }", "silence: { after: 7d, next: pause }"), ("    silence: { after: 7d, next: close_silent }\n\n  longer", "    silence: { after: 7d, next: pause }\n\n  longer")], "warning", "more than two reminders", "let silence lead to an end"),
    "missing translation": ("after_delivery", [("      da: Tak skal du have! Dukker der noget op senere, så skriv bare her.\n", "")], "warning", "there is no text in 'da'; who reads 'da' gets it in 'en'", "add da: …"),
    "missing label": ("after_delivery", [('label: { en: "👍 Yes", da: "👍 Ja" }', 'label: { en: "👍 Yes" }')], "warning", "there is no text in 'da'", "add da: …"),
    "label too long in one language": ("after_delivery", [('da: "📦 Ikke kommet endnu"', f'da: "{"Å" * 65}"')], "error", "the label is longer than 64 characters", "cuts it off"),
    "label too long with a long name": ("after_delivery", [('da: "📦 Ikke kommet endnu"', 'da: "{{ sale.summary }} er ikke kommet"')], "warning", "can become longer than 64 characters", "cuts it off"),
    "text too long": ("after_delivery", [("Tak skal du have! Dukker", "x" * 4001 + " Dukker")], "error", "longer than 4000 characters", ""),
    "text too long with long values": ("after_delivery", [("Tak skal du have! Dukker", "Tak: {% for item in items %}{{ item.name }} {{ item.sku }}".replace(": ", " ") + " er en god ting" * 24 + "{% endfor %} Dukker")], "warning", "characters; Telegram takes 4096", "shorten it"),
    "text too long below a picture": ("after_delivery", [("  thanks:\n    say:", "  thanks:\n    photo: https://example.com/a.jpg\n    say:"), ("Tak skal du have! Dukker", "x" * 1100 + " Dukker")], "warning", "below a picture 1024 fit", "shorten it"),
    "selling words": ("after_delivery", [("Tak skal du have! Dukker", "Tak! Få 10 % rabat. Dukker")], "warning", "'rabat' sells", "leave it out"),
    "purpose without consent": ("after_first_use", [("purpose: result", "purpose: story")], "warning", "nobody is asked for consent to messages about 'story'", "service, result"),
    "unknown purpose": ("after_first_use", [("purpose: result", "purpose: reslt")], "error", "purpose cannot be 'reslt'", "did you mean 'result'?"),
    "unknown team": ("after_delivery", [(DEALING, "  call: { case: Please call, team: wien, next: dealing }\n" + DEALING), ("next: dealing }", "next: call }")], "error", "the shop knows no team 'wien'", "did you mean 'wine'?"),
    "unknown touchpoint": ("after_delivery", [("touchpoint: delivery", "touchpoint: delivry")], "error", "the shop knows no touchpoint 'delivry'", "did you mean 'delivery'?"),
    "more than two reminders": ("after_delivery", [("times: 1", "times: 3")], "error", "times must be 1 or 2", "at most two reminders"),
    "reminder after the silence": ("after_delivery", [("remind: { after: 3d, times: 1 }", "remind: { after: 4d, times: 2 }")], "warning", "only after the silence", "remind earlier"),
    "complete by silence": ("after_first_use", [("silence: { after: 7d, next: close_silent }\n\n  patience", "silence: { after: 7d, next: done }\n\n  patience"), ("  close: {", "  done: { complete: sale, next: thanks }\n  close: {")], "error", "the silence of 'result' leads here, and would complete the sale", "only a happy choice"),
    "complete by an unhappy choice": ("after_delivery", [("factors: { promise: 0.5 }, next: what", "factors: { promise: 0.5 }, next: done"), ("  close: {", "  done: { complete: sale, next: thanks }\n  close: {")], "error", "the unhappy choice 'not_quite' of 'arrived'", "only a happy choice"),
    "complete by words": ("after_delivery", [("    next: passed_on\n", "    next: done\n"), ("  close: {", "  done: { complete: sale, next: passed_on }\n  close: {")], "error", "the words that answer the question", "only a happy choice"),
    "complete from the start": ("after_delivery", [("steps:\n", "steps:\n  done: { complete: sale, next: arrived }\n")], "error", "the start leads here", "only a happy choice"),
    "unhappy choice that completes": ("after_first_use", [("factors: { quality: 0.5 }, touchpoint: product, next: what", "factors: { quality: 0.5 }, completes: true, touchpoint: product, next: what")], "error", "an unhappy reply cannot complete the sale", "leave 'completes' out"),
    "review for the happy alone": ("after_first_use", [("completes: true, next: thanks", "completes: true, next: review"), ("  close: {", REVIEW.replace("WHAT", "review") + "    next: thanks\n  close: {")], "error", "the review link is offered for some answers only", "alike, whatever the verdict"),
    "review behind a condition": ("after_first_use", [("  close: {", "  gate: { branch: { if: unhappy, next: thanks }, otherwise: review }\n" + REVIEW.replace("WHAT", "review") + "  close: {"), ("  thanks:\n    say:", "  thanks:\n    say:")], "error", "the review link is offered for some answers only", "alike, whatever the verdict"),
    "referral for the unhappy": ("after_first_use", [("  passed_on:\n    say:", "  passed_on:\n    next: friends\n    say:"), ("  close: {", REVIEW.replace("WHAT", "referral").replace("review:", "friends:") + "  close: {")], "error", "did not say that they are happy", "for the happy alone"),
    "offer without a link": ("after_first_use", [("  thanks:\n    say:", "  thanks:\n    next: review\n    say:"), ("  passed_on:\n    say:", "  passed_on:\n    next: review\n    say:"), ("  later:\n    say:", "  later:\n    next: review\n    say:"), ("  close: {", REVIEW.replace("WHAT", "review") + "  close: {")], "warning", "the shop has no link for a review", "to shop.yaml"),
    "offer within service": ("after_remedy", [("  thanks:\n    say:", "  thanks:\n    next: friends\n    say:"), ("  close: {", REVIEW.replace("WHAT", "referral").replace("review:", "friends:") + "  close: {")], "warning", "who agreed to messages about service alone", "purpose: result"),
    "same label twice": ("after_delivery", [('en: "🤔 Not quite"', 'en: "👍 Yes"')], "error", "the same label as choice 'yes'", ""),
    "plural form missing": ("after_delivery", [("Tak skal du have!", 'Tak for {{ items | length | plural(other="ting") }}!')], "error", "plural lacks one", ""),
    "not a moment": ("after_first_use", [("pause: { wait: 5d,", "pause: { wait: { until: 2026-13-40 },")], "error", "there is no such moment as '2026-13-40'", "2026-12-24 18:00"),
    "event without an end": ("after_first_use", [("pause: { wait: 5d,", "pause: { wait: { event: product.first_used },")], "error", "needs an end: 'at_most'", "30d"),
    "hours that are none": ("after_first_use", [("pause: { wait: 5d,", "pause: { wait: { after: 1d, between: 18-10 },")], "error", "between cannot be '18-10'", "10:00-18:00"),
    "not YAML": ("after_delivery", [("    remind: {", '    remind: "{')], "error", "not valid YAML", "") ,
    "flow that begins itself": ("after_first_use", [("{ on: product.first_used", "{ on: customer.answered"), ("expires: 90d", "expires: 90d\nonce: false")], "error", "every answer would begin this flow anew", "leave 'once: false' out"),
    "expires too early": ("after_delivery", [("expires: 45d", "expires: 1d")], "error", "it expires (1d) before it begins (2d)", "later"),
    "starts and prevents": ("after_delivery", [("unless: [case.open,", "unless: [order.delivered,")], "error", "starts this flow and prevents it", ""),
    "picture that is none": ("after_delivery", [("  thanks:\n    say:", "  thanks:\n    photo: a.jpg\n    say:")], "error", "photo cannot be 'a.jpg'", "https://"),
    "variant for nothing": ("after_first_use", [("pause: { wait: 5d,", "pause: { wait: 5d, for: { after: 3d },")], "error", "for must say for what", "exactly one of tag, sku, if"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str) -> None:
    """Whoever plants a fault of any class in a good flow hears of it: how bad, where, the line itself, and the mend."""
    flow, changes, severity, message, hint = FAULTS[name]
    text = planted(flow, *changes)
    findings = found_in(text)
    hits = [each for each in findings if message in each.message and hint in each.hint and each.severity == severity]
    assert hits, "\n".join(map(str, findings)) or "nothing was found"
    for each in findings:
        assert 1 <= each.line <= len(text.splitlines()) + 1
        assert each.column >= 1
        assert str(each).startswith(f"f.yaml:{each.line}:{each.column}: {each.severity}: ")
    assert hits[0].within(text) or hits[0].line > len(text.splitlines())


def test_a_finding_shows_its_line_and_place() -> None:
    """The line itself stands below, with a mark below the place."""
    finding = Finding("error", "bad", "f.yaml", 2, 3)
    assert finding.within("flow: f\nab cd\n") == ["     2 │ ab cd", "       │   ^"]
    assert finding.within("flow: f") == []


MANGLED = st.lists(
    st.tuples(
        st.sampled_from(sorted(SHIPPED)),
        st.floats(0, 1),
        st.integers(0, 30),
        st.one_of(
            st.sampled_from(list("{}[]:,-#&*!|>'\"%@`?~\n\t ")),
            st.sampled_from(
                ["null", "0", "end", "next: thanks", "\n  ", "<<: ", "---", "\x85", "\ufeff", "\ud800", "{{", "{% if %}",
                 "wait: { until: 1 }", "for: [{}]", "branch: []", "set: { a: b }", "rate: x", "each: promise", "if: 1"]
            ),
        ),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MANGLED)
@example([("after_delivery", 0.5, 0, "\x00")])
def test_no_text_whatever_breaks_the_check(changes: list[tuple[str, float, int, str]]) -> None:
    """However a flow or the sentences are mangled, there are findings with places, or none, and never a stack trace."""
    text = SHIPPED[changes[0][0]]
    for _, where, length, piece in changes:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + length :]
    for each in found_in(text):
        assert each.line >= 1
        assert each.message
        each.within(text)
    found, errors = read_phrases(text, "phrases.yaml")
    assert isinstance(found, dict)
    assert all(error.line >= 1 for error in errors)
