"""What Prometheus is shown: every figure is explained, names keep its rules, and the database may be away."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bot.adapters.metrics import Counted, Seen, Sight, registry_of
from bot.ports.standing import Standing, TeamCases

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[2] / "docs/reference/metrics.md"
STANDING = Standing(
    at=NOW,
    counted_up_to=10_000,
    new_inbox={"shop": 7},
    inbox_oldest={"shop": NOW - timedelta(seconds=90)},
    failed_inbox=2,
    due={"telegram": 3},
    later={"telegram": 10_000, "slack": 1},
    due_oldest={"telegram": NOW - timedelta(minutes=2)},
    unknown=1,
    held=4,
    moment_oldest=NOW + timedelta(days=2),
    cases={"wine": TeamCases({"under_1d": 1, "1d_to_3d": 0, "3d_to_7d": 2, "over_7d": 0}, overdue=2)},
    sales=12,
)


def everything() -> tuple[CollectorRegistry, Seen]:
    """Give a registry in which each figure is shown."""
    seen = Seen()
    registry = registry_of(seen)
    counted = Counted(registry)
    counted.attempted("telegram", "question", "sent")
    counted.attempted("telegram", "question", "sent")
    counted.attempted("slack", "card", "delayed")
    counted.waited("telegram", "pace", 0.5)
    counted.waited("telegram", "pace", 1.0)
    counted.waited("telegram", "asked", 30)
    counted.received("shop", 3)
    counted.handled(20, 0.04)
    seen.sight = Sight(
        database="sqlite",
        standing=STANDING,
        sales={"all": 12, "asked": 5},
        connections={"telegram": True, "slack": False},
        duties={"telegram-polling": True},
        alarms=("failed:inbox",),
        is_ready=False,
    )
    return registry, seen


def shown(registry: CollectorRegistry) -> dict[str, float]:
    """Give every line of what is shown: name with labels, and value."""
    text = generate_latest(registry).decode()
    return {
        each.name + "".join(f" {name}={value}" for name, value in sorted(each.labels.items())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def test_every_figure_is_explained_and_none_is_invented() -> None:
    """docs/reference/metrics.md has a row for each figure that is shown, and for nothing else."""
    registry, _ = everything()
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([a-z_]+)`", text, re.MULTILINE))
    assert rows == {name for name in names if name.startswith("aftersale_")}
    others = {name for name in names if not name.startswith("aftersale_")}
    assert others <= set(re.findall(r"`(process_[a-z_]+)`", text))


def test_the_labels_of_each_figure_are_explained() -> None:
    """The second column names exactly the labels that Prometheus sees."""
    registry, _ = everything()
    rows = re.findall(r"^\| `([a-z_]+)` \|([^|]*)\|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    explained = {name.removesuffix("_total"): set(re.findall(r"`([a-z_]+)`", labels)) for name, labels in rows}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        if family.name.startswith("aftersale_"):
            seen = {label for sample in family.samples for label in sample.labels}
            assert seen == explained[family.name], family.name


def test_the_rules_for_alerts_speak_of_figures_that_are_there() -> None:
    """What an admin copies from the page works: each name in its rules is shown."""
    registry, _ = everything()
    names = {line.partition(" ")[0] for line in shown(registry)}
    rules = DOCUMENT.read_text(encoding="utf-8").partition("## Rules for alerts")[2]
    spoken = set(re.findall(r"\baftersale_[a-z_]+", rules))
    assert len(spoken) >= 5
    assert spoken <= names


def test_names_keep_the_rules_of_prometheus() -> None:
    """Counters end in _total, times are in seconds, and nothing has a unit that is no base unit."""
    registry, _ = everything()
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        assert not re.search(r"_(ms|minutes|hours|days|millis)", family.name)
        assert family.documentation
        if family.type == "gauge":
            assert not family.name.endswith(("_total", "_count", "_sum"))


def test_figures_say_what_was_seen_and_counted() -> None:
    """Lags are in seconds, counts by label, and what waits for nothing lags by nothing."""
    lines = shown(everything()[0])
    for line, value in {
        "aftersale_inbox_lag_seconds source=shop": 90,
        "aftersale_inbox_lag_seconds source=slack": 0,
        "aftersale_inbox_waiting source=shop": 7,
        "aftersale_inbox_failed": 2,
        "aftersale_outbox_lag_seconds channel=telegram": 120,
        "aftersale_outbox_waiting channel=telegram when=later": 10_000,
        "aftersale_outbox_messages state=unknown": 1,
        "aftersale_moment_lag_seconds": 0,
        "aftersale_open_cases age=3d_to_7d team=wine": 2,
        "aftersale_overdue_cases team=wine": 2,
        "aftersale_sales stage=asked": 5,
        "aftersale_connection_up to=slack": 0,
        "aftersale_duty_held duty=telegram-polling": 1,
        "aftersale_alarm_on alarm=failed:inbox": 1,
        "aftersale_database_up": 1,
        "aftersale_ready": 0,
        "aftersale_send_attempts_total channel=telegram kind=question outcome=sent": 2,
        "aftersale_send_attempts_total channel=slack kind=card outcome=delayed": 1,
        "aftersale_rate_limit_wait_seconds_count channel=telegram reason=pace": 2,
        "aftersale_rate_limit_wait_seconds_sum channel=telegram reason=pace": 1.5,
        "aftersale_rate_limit_wait_seconds_sum channel=telegram reason=asked": 30,
        "aftersale_inbox_received_total source=shop": 3,
        "aftersale_inbox_received_total source=telegram": 0,
        "aftersale_inbox_handled_total": 20,
        "aftersale_inbox_transaction_seconds_count": 1,
        "aftersale_inbox_transaction_seconds_bucket le=0.05": 1,
        "aftersale_inbox_transaction_seconds_bucket le=0.025": 0,
    }.items():
        assert lines[line] == pytest.approx(value), line


def test_while_the_database_is_away_what_is_counted_here_goes_on() -> None:
    """No figure of the database is shown rather than an old one; the program's own stay, and it says that it is away."""
    registry, seen = everything()
    seen.sight = Sight(database="postgresql", connections={"telegram": True})
    lines = shown(registry)
    assert lines["aftersale_database_up"] == 0
    assert lines["aftersale_inbox_handled_total"] == 20
    assert not any(name.startswith(("aftersale_outbox", "aftersale_inbox_lag", "aftersale_open")) for name in lines)
