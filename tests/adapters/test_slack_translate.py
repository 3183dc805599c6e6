"""What the inbox stores for Slack, and what it means."""

from datetime import UTC, datetime

import pytest

from bot.adapters.slack.translate import incoming, translate
from bot.errors import InputRefused
from bot.ports.inbound import CaseClaimed, CaseHandedOver, CaseRemedied, CaseReplied, NotForUs

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "fields", "meaning"),
    [
        ("claim", {"channel": "C1", "name": "Mikkel"}, CaseClaimed("k1", "U1", "C1")),
        ("reply", {"name": "Mikkel", "text": "On its way"}, CaseReplied("k1", "U1", "Mikkel", "On its way")),
        ("remedy", {"remedy": "refund", "note": "50 kr."}, CaseRemedied("k1", "U1", "refund", "50 kr.")),
        ("hand_over", {"team": "web", "reason": "their page"}, CaseHandedOver("k1", "U1", "web", "their page")),
    ],
)
def test_what_is_stored_means_what_was_done(kind, fields, meaning):
    """Each act comes back from its stored payload as it went in, in the lane of its case."""
    stored = incoming(kind, key="view:V1", case_id="k1", by="U1", now=NOW, **fields)
    assert translate(stored.payload) == meaning
    assert (stored.source, stored.key, stored.lane, stored.received_at) == ("slack", "view:V1", "case:k1", NOW)


def test_an_unknown_kind_is_kept_as_not_for_us():
    """A payload of a kind that nobody knows is ignored with a reason."""
    assert translate({"kind": "confirm", "case_id": "k1", "by": "U1"}) == NotForUs(
        "no act of staff is called 'confirm'"
    )


def test_a_payload_that_lacks_something_is_refused_by_name():
    """A damaged row says what it lacks, so that it stays visible."""
    with pytest.raises(InputRefused) as caught:
        translate({"kind": "reply", "case_id": "k1", "by": "U1", "name": None})
    assert caught.value.problems == [("name", "is missing"), ("text", "is missing")]


@pytest.mark.parametrize(("field", "value"), [("until", "tomorrow"), ("waits_for", "godot")])
def test_a_case_put_aside_until_no_time_or_for_nothing_is_refused_by_name(field, value):
    """What no form sends, a broken row may hold: the field is named, and the row stays to be retried."""
    payload = {
        "kind": "snooze",
        "case_id": "k1",
        "by": "U1",
        "until": "2026-11-26T09:00:00+00:00",
        "waits_for": "parcel",
    }
    assert translate(payload).waits_for == "parcel"
    with pytest.raises(InputRefused, match=field):
        translate(payload | {field: value})
