"""Who may enter the console: links that let in once, and the sessions that they begin.

Whoever holds the token of a pass is its owner; only its hash is stored. What is for which role, the pages say.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from bot.messages import note_down
from bot.ports.records import ROLES, Pass, Role
from bot.ports.store import UnitOfWork
from bot.sales import hash_token

LINK_LIVES = timedelta(minutes=10)
SESSION_LIVES = timedelta(hours=12)


def may(role: Role, needed: Role) -> bool:
    """Tell whether somebody in `role` may do what is for `needed`: an admin may all, a reader only look."""
    return ROLES.index(role) <= ROLES.index(needed)


def make_link(uow: UnitOfWork, token: str, role: Role, name: str, now: datetime) -> datetime:
    """Let whoever brings `token` in once; gives until when."""
    uow.drop_passes(now)
    expires_at = now + LINK_LIVES
    uow.put_pass(Pass(hash_token(token), "link", role, name, now, expires_at))
    note_down(uow, now, "console.link_made", role=role, name=name)
    return expires_at


def is_good(uow: UnitOfWork, token: str, now: datetime) -> bool:
    """Tell whether a link still lets in, without using it: previews of messages follow links, too."""
    found = uow.pass_of(hash_token(token))
    return found is not None and found.kind == "link" and found.used_at is None and now < found.expires_at


def use_link(uow: UnitOfWork, token: str, session: str, now: datetime) -> Pass | None:
    """Use a link, and give the pass of the session that it begins under the token `session`; None: it is no good."""
    if not is_good(uow, token, now):
        return None
    found = uow.pass_of(hash_token(token))
    if found is None:
        return None
    uow.put_pass(replace(found, used_at=now))
    return begin(uow, session, found.role, found.name, now)


def begin(uow: UnitOfWork, session: str, role: Role, name: str, now: datetime, *, member: str | None = None) -> Pass:
    """Begin a session for somebody who has shown who they are; `member` is their id in Slack."""
    uow.drop_passes(now)
    begun = Pass(hash_token(session), "session", role, name, now, now + SESSION_LIVES, member)
    uow.put_pass(begun)
    note_down(uow, now, "console.entered", role=role, name=name, member=member)
    return begun


def session_of(uow: UnitOfWork, session: str, now: datetime) -> Pass | None:
    """Give the pass of a session that has not expired and was not ended."""
    found = uow.pass_of(hash_token(session))
    if found is None or found.kind != "session" or found.used_at is not None or found.expires_at <= now:
        return None
    return found


def leave(uow: UnitOfWork, session: str, now: datetime) -> None:
    """End a session: its token opens nothing any more, wherever it may have been copied to."""
    found = session_of(uow, session, now)
    if found is not None:
        uow.put_pass(replace(found, used_at=now))
        note_down(uow, now, "console.left", role=found.role, name=found.name)
