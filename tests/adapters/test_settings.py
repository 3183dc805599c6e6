"""Settings are read from the environment and ``.env``, and refused whole, naming each variable that is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import ConfigurationError
from bot.settings import Settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_nothing_set_gives_the_documented_defaults() -> None:
    """A new user without any setting gets a SQLite file, polling, Socket Mode and this machine only."""
    settings = Settings.of()
    assert settings.database_url == "sqlite:///aftersale.db"
    assert (settings.telegram_mode, settings.slack_mode, settings.log_format) == ("polling", "socket", "console")
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8080)
    assert settings.telegram_api_base == "https://api.telegram.org"
    assert settings.slack_api_base == "https://slack.com/api/"
    assert settings.shop_file == Path("shop.yaml")
    assert settings.flows_dir is None


def test_file_is_read_and_empty_values_count_as_left_out(tmp_path: Path) -> None:
    """A copy of .env.example with few lines filled in works: what is empty keeps its default."""
    file = tmp_path / ".env"
    file.write_text("TELEGRAM_BOT_TOKEN=1234:sandbox\nSLACK_BOT_TOKEN=\nHTTP_PORT=9000\nFLOWS_DIR=\n", encoding="utf-8")
    settings = Settings.load(env_file=file)
    assert settings.telegram_bot_token is not None
    assert settings.telegram_bot_token.get_secret_value() == "1234:sandbox"
    assert settings.slack_bot_token is None
    assert settings.http_port == 9000
    assert settings.flows_dir is None


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    """What the process was started with is stronger than what stands in .env."""
    (tmp_path / ".env").write_text("HTTP_PORT=9000\nHTTP_HOST=0.0.0.0\n", encoding="utf-8")
    code = "from bot.settings import Settings; s = Settings.load(); print(s.http_port, s.http_host)"
    environment = {**os.environ, "HTTP_PORT": "9001", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["9001", "0.0.0.0"]  # noqa: S104 - read, not bound


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("DATABASE_URL", "mysql://host/db", "neither a SQLite nor a PostgreSQL address"),
        ("TELEGRAM_BOT_TOKEN", "sandbox", "does not look like a bot token"),
        ("TELEGRAM_API_BASE", "api.telegram.org", "is not a web address"),
        ("TELEGRAM_API_BASE", "http://host:notaport", "is not a web address"),
        ("TELEGRAM_MODE", "push", "'polling' or 'webhook'"),
        ("TELEGRAM_WEBHOOK_SECRET", "with space", "characters that Telegram does not take"),
        ("TELEGRAM_WEBHOOK_SECRET", "x" * 257, "characters that Telegram does not take"),
        ("SLACK_BOT_TOKEN", "xapp-1", "does not look like a Slack bot token"),
        ("SLACK_APP_TOKEN", "xoxb-1", "does not look like a Slack app token"),
        ("SLACK_MODE", "rtm", "'socket' or 'http'"),
        ("HTTP_PORT", "eighty", "not a usable port"),
        ("HTTP_PORT", "70000", "not a usable port"),
        ("PUBLIC_URL", "ftp://host", "is not a web address"),
        ("INTAKE_SECRET", "secret", "is not whsec_ followed by base64"),
        ("INTAKE_SECRET", "whsec_", "is not whsec_ followed by base64"),
        ("INTAKE_SECRET", "whsec_not base64!", "is not whsec_ followed by base64"),
        ("INTAKE_SECRET", "whsec_abcde", "is not whsec_ followed by base64"),
        ("FLOWS_DIR", "/no/such/folder", "there is no folder"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
    ],
)
def test_wrong_value_is_refused_by_name(name: str, value: str, problem: str) -> None:
    """Each wrong value is refused with its variable, what is wrong, and what to do."""
    with pytest.raises(ConfigurationError) as refused:
        Settings.of(**{name.lower(): value})
    assert refused.value.variable == name
    assert problem in str(refused.value)
    assert " → " in str(refused.value)


def test_every_problem_is_told_at_once() -> None:
    """Nobody has to start the program once per mistake."""
    with pytest.raises(ConfigurationError) as refused:
        Settings.of(http_port="x", log_format="xml", intake_secret="y")
    assert refused.value.variable == "HTTP_PORT, INTAKE_SECRET, LOG_FORMAT"
    assert str(refused.value).startswith("3 settings are missing or wrong")
    assert refused.value.exit_code == 2


def test_secrets_never_stand_in_a_message_or_a_repr() -> None:
    """Neither a refused secret nor an accepted one, nor a database password, is ever printed."""
    with pytest.raises(ConfigurationError) as refused:
        Settings.of(telegram_bot_token="verysecret", slack_bot_token="alsosecret")
    assert "verysecret" not in str(refused.value)
    assert "alsosecret" not in str(refused.value)
    shown = repr(
        Settings.of(telegram_bot_token="1:verysecret", intake_secret=SECRET, database_url="postgresql://u:pw9@h/d")
    )
    assert "verysecret" not in shown
    assert SECRET not in shown
    assert "pw9" not in shown


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, "TELEGRAM_BOT_TOKEN, SLACK_BOT_TOKEN, SLACK_APP_TOKEN, INTAKE_SECRET"),
        ({"slack_mode": "http"}, "TELEGRAM_BOT_TOKEN, SLACK_BOT_TOKEN, SLACK_SIGNING_SECRET, INTAKE_SECRET"),
        (
            {"telegram_mode": "webhook", "telegram_bot_token": "1:x", "intake_secret": SECRET},
            "TELEGRAM_WEBHOOK_SECRET, PUBLIC_URL, SLACK_BOT_TOKEN, SLACK_APP_TOKEN",
        ),
    ],
)
def test_what_a_command_needs_must_be_there(values: dict[str, str], missing: str) -> None:
    """A command names the parts that it needs; what they lack in the chosen mode is named, nothing else."""
    with pytest.raises(ConfigurationError) as refused:
        Settings.of(**values).require("telegram", "slack", "intake")
    assert refused.value.variable == missing


def test_settings_as_the_sandbox_has_them_are_enough() -> None:
    """Tokens of a local server, and addresses of this machine, are taken."""
    settings = Settings.of(
        telegram_bot_token="1234:sandbox",
        telegram_api_base="http://127.0.0.1:8081/",
        slack_bot_token="xoxb-sandbox",
        slack_app_token="xapp-sandbox",
        slack_api_base="http://127.0.0.1:8082/api",
        intake_secret=SECRET.rstrip("="),
    )
    settings.require("telegram", "slack", "intake")
    assert settings.telegram_api_base == "http://127.0.0.1:8081"
    assert settings.slack_api_base == "http://127.0.0.1:8082/api/"


@pytest.mark.parametrize("address", ["http://bot.myshop.com", "https://bot.myshop.com:9443"])
def test_webhook_needs_an_address_that_telegram_calls(address: str) -> None:
    """Telegram calls https on four ports only; a Bot API server of one's own calls anything."""
    values = {
        "telegram_mode": "webhook",
        "telegram_bot_token": "1:x",
        "telegram_webhook_secret": "s",
        "public_url": address,
    }
    with pytest.raises(ConfigurationError) as refused:
        Settings.of(**values).require("telegram")
    assert refused.value.variable == "PUBLIC_URL"
    Settings.of(**values, telegram_api_base="http://127.0.0.1:8081").require("telegram")
