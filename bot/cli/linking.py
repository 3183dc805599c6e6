"""`aftersale link`: the address, and its QR code, with which a customer joins their chat; `console-link`: for staff."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bot import passes
from bot.adapters import qr
from bot.adapters.telegram.connection import connect, username
from bot.adapters.web import CONSOLE
from bot.app.base import USERNAME, Base
from bot.app.story import find_sale
from bot.cli.opening import opened
from bot.cli.terminal import clock, remark, say
from bot.errors import ConfigurationError, FollowUpError, InputRefused
from bot.ports.records import ROLES, Customer
from bot.ports.store import UnitOfWork
from bot.sales import make_link
from bot.settings import Settings


def _svg(url: str, path: Path) -> None:
    path.write_text(qr.svg(url), encoding="utf-8")


_DRAW: Mapping[str, Callable[[str, Path], None]] = {".png": qr.png, ".svg": _svg}


def make_chat_link(sale_id: str, picture: Path | None, *, draw: bool | None) -> None:
    """Make a link for the sale, print it, and draw or save its QR code.

    Args:
        sale_id: the order.
        picture: where to save the code, as .png or .svg; None: nowhere.
        draw: whether to draw the code here; None: if this is a terminal.

    Raises:
        NotFound: there is no such sale.
        ConfigurationError: the bot's name is not known and cannot be asked for.
        InputRefused: the picture cannot be saved there; then no link was made.
    """
    _can_save(picture)
    with opened() as base:
        base.database.run_now(lambda uow: find_sale(uow, sale_id))
        if not base.house.bot_username:
            base.house.bot_username = _ask_name(base)

        def work(uow: UnitOfWork) -> tuple[str, Customer | None]:
            sale = find_sale(uow, sale_id)
            url = make_link(uow, base.house, sale, base.house.clock.now())
            return url, uow.customer(sale.customer_id)

        url, customer = base.database.run_now(work)
        shop = base.house.shop
        expires_at = base.house.clock.now() + shop.link_expires_after
    say(url)
    if picture is not None:
        _save(url, picture)
        remark(f"QR code: {picture}")
    if draw if draw is not None else sys.stdout.isatty():
        print(qr.terminal(url))
    if customer is not None and customer.chat_id is not None:
        remark(f"{customer.name or customer.id} has linked a chat already; nothing more is needed.", "yellow")
    remark(f"For one chat, once, until {clock(shop.time_zone)(expires_at)}.", "dim")


def make_console_link(role: str, name: str) -> None:
    """Make a link into the console for somebody in `role`, and print it.

    Raises:
        InputRefused: there is no such role.
    """
    given = next((each for each in ROLES if each == role), None)
    if given is None:
        raise InputRefused([("--role", f"{role!r} is no role; write {', '.join(ROLES[:-1])} or {ROLES[-1]}")])
    settings = Settings.load()
    with opened() as base:
        token, now = base.house.clock.new_token(), base.house.clock.now()
        whom = name or given
        expires_at = base.database.run_now(lambda uow: passes.make_link(uow, token, given, whom, now))
        at = clock(base.house.shop.time_zone)
    say(f"{_address(settings)}{CONSOLE}/enter?ticket={token}")
    remark(f"For one visitor, as {given}, until {at(expires_at)}, while aftersale run runs.", "dim")


def _address(settings: Settings) -> str:
    if settings.public_url is not None:
        return settings.public_url
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.http_host, settings.http_host)  # noqa: S104 - compared with
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.http_port}"


def _ask_name(base: Base) -> str:
    settings = Settings.load()
    token = settings.telegram_bot_token
    if token is None:
        mend = "set it, or run aftersale run once, which remembers the name"
        raise ConfigurationError("TELEGRAM_BOT_TOKEN", "is missing, and a link needs the bot's name", mend)

    async def ask() -> str:
        async with connect(token.get_secret_value(), settings.telegram_api_base) as bot:
            return await username(bot)

    try:
        name = asyncio.run(ask())
    except ConfigurationError:
        raise
    except FollowUpError as error:
        raise FollowUpError(f"Telegram could not be asked for the bot's name: {error} → try again later") from None
    base.database.run_now(lambda uow: uow.put_note(USERNAME, name))
    return name


def _can_save(picture: Path | None) -> None:
    if picture is None:
        return
    if picture.suffix.lower() not in _DRAW:
        raise InputRefused([("--qr", f"{picture} ends neither in .png nor in .svg")])
    if not picture.absolute().parent.is_dir():
        raise InputRefused([("--qr", f"there is no folder {picture.absolute().parent}")])


def _save(url: str, picture: Path) -> None:
    try:
        _DRAW[picture.suffix.lower()](url, picture)
    except OSError as error:
        raise FollowUpError(f"{picture} cannot be written ({error.strerror}); the link above is good") from None
