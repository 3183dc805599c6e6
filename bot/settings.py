"""The settings of the program, read from the environment and from ``.env``, and refused whole when one is wrong.

Only `bot.app` and `bot.cli` read them; everything else is handed what it needs. What the shop decides about its
customers and teams stands in ``shop.yaml``, not here.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.errors import ConfigurationError

Part: TypeAlias = Literal["telegram", "slack", "intake"]
"""A part of the program that a command needs: its settings must then be there."""

TELEGRAM_API = "https://api.telegram.org"
SLACK_API = "https://slack.com/api/"
TELEGRAM_WEBHOOK_PORTS = frozenset({443, 80, 88, 8443})
"""Source: https://core.telegram.org/bots/api#setwebhook (read 2026-11-22)."""

_MENDS: Mapping[str, str] = {
    "DATABASE_URL": "write sqlite:///aftersale.db, or postgresql://user:password@host/database",
    "TELEGRAM_BOT_TOKEN": "get one from @BotFather in Telegram; it looks like 1234567:AA…",
    "TELEGRAM_API_BASE": f"leave it out for {TELEGRAM_API}",
    "TELEGRAM_MODE": "write polling (no public address needed) or webhook",
    "TELEGRAM_WEBHOOK_SECRET": "make one up: 1 to 256 characters of A-Z, a-z, 0-9, _ and -",
    "SLACK_BOT_TOKEN": "copy it from your Slack app's page “OAuth & Permissions”; it begins with xoxb-",
    "SLACK_APP_TOKEN": "make one on your Slack app's page “Basic Information”, with connections:write; "
    "it begins with xapp-",
    "SLACK_API_BASE": f"leave it out for {SLACK_API}",
    "SLACK_MODE": "write socket (no public address needed) or http",
    "SLACK_SIGNING_SECRET": "copy it from your Slack app's page “Basic Information”",
    "SLACK_CLIENT_ID": "copy it from your Slack app's page “Basic Information”",
    "SLACK_CLIENT_SECRET": "copy it from your Slack app's page “Basic Information”",
    "CONSOLE_ADMINS": "write member ids as Slack shows them under a profile's ⋮ menu, like U0123ABCD,U0456EFGH",
    "HTTP_HOST": "write 127.0.0.1 (this machine only) or 0.0.0.0 (reachable from outside)",
    "HTTP_PORT": "write a number from 1 to 65535 (0 takes any free one)",
    "PUBLIC_URL": "write the address under which the internet reaches this program, like https://bot.myshop.com",
    "INTAKE_SECRET": "make one with: echo whsec_$(openssl rand -base64 32)",
    "SHOP_FILE": "write the path of your shop.yaml",
    "FLOWS_DIR": "write the path of a folder with flows, or leave it out for the shipped ones",
    "LOG_FORMAT": "write console (for people) or json (for machines)",
}


def _database_url(text: str) -> str:
    if not re.match(r"sqlite:///|postgresql(\+psycopg)?://", text):
        raise ValueError("is neither a SQLite nor a PostgreSQL address")
    return text


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        raise ValueError("is not a web address that begins with https:// (or http:// on your own network)")
    return text.rstrip("/")


def _form(pattern: str, problem: str) -> AfterValidator:
    def check(secret: SecretStr) -> SecretStr:
        # The value itself never stands in the message: it may be right in all but one character.
        if not re.fullmatch(pattern, secret.get_secret_value()):
            raise ValueError(problem)
        return secret

    return AfterValidator(check)


def _intake_secret(secret: SecretStr) -> SecretStr:
    # Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (2026-11-22):
    # a symmetric secret is base64 with the prefix whsec_. Shops that leave out the padding are understood.
    encoded = secret.get_secret_value().removeprefix("whsec_").rstrip("=")
    is_prefixed = secret.get_secret_value().startswith("whsec_")
    if not is_prefixed or not re.fullmatch(r"[A-Za-z0-9+/]{2,}", encoded) or len(encoded) % 4 == 1:
        raise ValueError("is not whsec_ followed by base64")
    return secret


def _member_ids(text: str) -> str:
    if not all(re.fullmatch(r"[UW][A-Z0-9]+", each) for each in re.split(r"[,\s]+", text)):
        raise ValueError("has something that is no member id")
    return text


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}")
    return path


WebAddress = Annotated[str, AfterValidator(_web_address)]


class Settings(BaseSettings):
    """Everything the operator sets, checked. The environment wins over ``.env``; an empty value counts as left out."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    database_url: Annotated[str, AfterValidator(_database_url)] = Field("sqlite:///aftersale.db", repr=False)
    telegram_bot_token: Annotated[SecretStr, _form(r"\d+:.+", "does not look like a bot token")] | None = None
    telegram_api_base: WebAddress = TELEGRAM_API
    telegram_mode: Literal["polling", "webhook"] = "polling"
    telegram_webhook_secret: (
        Annotated[SecretStr, _form(r"[A-Za-z0-9_-]{1,256}", "has characters that Telegram does not take")] | None
    ) = None
    slack_bot_token: Annotated[SecretStr, _form(r"xoxb-.+", "does not look like a Slack bot token")] | None = None
    slack_app_token: Annotated[SecretStr, _form(r"xapp-.+", "does not look like a Slack app token")] | None = None
    slack_api_base: Annotated[WebAddress, AfterValidator(lambda text: text + "/")] = SLACK_API
    slack_mode: Literal["socket", "http"] = "socket"
    slack_signing_secret: SecretStr | None = None
    slack_client_id: str | None = None
    slack_client_secret: SecretStr | None = None
    console_admins: Annotated[str, AfterValidator(_member_ids)] | None = None
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: WebAddress | None = None
    intake_secret: Annotated[SecretStr, AfterValidator(_intake_secret)] | None = None
    shop_file: Path = Path("shop.yaml")
    flows_dir: Annotated[Path, AfterValidator(_folder)] | None = None
    log_format: Literal["console", "json"] = "console"

    @classmethod
    def load(cls, *, require: Collection[Part] = (), env_file: Path | None = Path(".env")) -> Self:
        """Read the environment and `env_file`.

        Args:
            require: the parts of the program that the command needs; what they need must be set.
            env_file: the file of settings, relative to the working folder; None reads the environment alone.

        Raises:
            ConfigurationError: naming every variable that is missing or wrong, what is wrong and what to do.
        """
        try:
            settings = cls(_env_file=env_file)  # type: ignore[call-arg]  # pydantic-settings' own argument
        except ValidationError as error:
            raise _refusal([_problem(dict(each)) for each in error.errors(include_input=False)]) from None
        except UnicodeDecodeError:
            raise ConfigurationError(str(env_file), "is not UTF-8 text", "save it as UTF-8") from None
        settings.require(*require)
        return settings

    @classmethod
    def of(cls, **values: Any) -> "Settings":
        """Make settings of `values` alone: for the demo and for tests, which must not see the operator's own.

        Raises:
            ConfigurationError: as in `load`.
        """
        try:
            return _Given(**values)
        except ValidationError as error:
            raise _refusal([_problem(dict(each)) for each in error.errors(include_input=False)]) from None

    def require(self, *parts: Part) -> None:
        """Make sure that everything which `parts` need is set.

        Raises:
            ConfigurationError: naming everything that is missing, and why it is needed.
        """
        needs = {"telegram": self._telegram_needs, "slack": self._slack_needs, "intake": self._intake_needs}
        problems = [problem for part in parts for problem in needs[part]()]
        if problems:
            raise _refusal(problems)

    def _telegram_needs(self) -> list[tuple[str, str]]:
        problems = []
        if self.telegram_bot_token is None:
            problems.append(("TELEGRAM_BOT_TOKEN", "is missing"))
        if self.telegram_mode == "webhook":
            if self.telegram_webhook_secret is None:
                problems.append(("TELEGRAM_WEBHOOK_SECRET", "is missing, and TELEGRAM_MODE=webhook needs it"))
            if self.public_url is None:
                problems.append(("PUBLIC_URL", "is missing, and TELEGRAM_MODE=webhook needs it"))
            elif self.telegram_api_base == TELEGRAM_API:
                problems += _telegram_can_reach(self.public_url)
        return problems

    def _slack_needs(self) -> list[tuple[str, str]]:
        problems = []
        if self.slack_bot_token is None:
            problems.append(("SLACK_BOT_TOKEN", "is missing"))
        if self.slack_mode == "socket" and self.slack_app_token is None:
            problems.append(("SLACK_APP_TOKEN", "is missing, and SLACK_MODE=socket needs it"))
        if self.slack_mode == "http" and self.slack_signing_secret is None:
            problems.append(("SLACK_SIGNING_SECRET", "is missing, and SLACK_MODE=http needs it"))
        return problems

    def _intake_needs(self) -> list[tuple[str, str]]:
        return [("INTAKE_SECRET", "is missing")] if self.intake_secret is None else []


class _Given(Settings):
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - as above
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def _telegram_can_reach(public_url: str) -> list[tuple[str, str]]:
    # A Bot API server of one's own takes plain http and any port; Telegram's does not.
    # Source: https://core.telegram.org/bots/api#using-a-local-bot-api-server (2026-11-22).
    parts = urlsplit(public_url)
    if parts.scheme != "https":
        return [("PUBLIC_URL", "must begin with https://, because Telegram calls no other address")]
    if (parts.port or 443) not in TELEGRAM_WEBHOOK_PORTS:
        return [("PUBLIC_URL", f"has port {parts.port}, and Telegram calls only 443, 80, 88 and 8443")]
    return []


def _problem(error: Mapping[str, Any]) -> tuple[str, str]:
    name = str(error["loc"][0]).upper()
    match error["type"]:
        case "value_error":
            return name, str(error["ctx"]["error"])
        case "literal_error":
            return name, f"must be {error['ctx']['expected']}"
        case "int_parsing" | "greater_than_equal" | "less_than_equal":
            return name, "is not a usable port number"
        case _:
            return name, str(error["msg"])


def _refusal(problems: list[tuple[str, str]]) -> ConfigurationError:
    if len(problems) == 1:
        variable, problem = problems[0]
        return ConfigurationError(variable, problem, _MENDS.get(variable, ""))
    lines = [f"\n  {variable}: {problem} → {_MENDS.get(variable, '')}" for variable, problem in problems]
    error = ConfigurationError(f"{len(problems)} settings are missing or wrong", "".join(lines))
    error.variable = ", ".join(variable for variable, _ in problems)
    return error
