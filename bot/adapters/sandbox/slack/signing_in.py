"""Sign in with Slack, as Slack plays its part: the page on which one says yes, codes, and whose token is whose.

Source: https://docs.slack.dev/authentication/sign-in-with-slack (read 2026-11-25).
"""

import secrets
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from aiohttp import web

from bot.adapters.sandbox.slack.arguments import Arguments
from bot.adapters.sandbox.slack.blocks import Json
from bot.adapters.sandbox.slack.workspace import Refused, Workspace

METHODS = frozenset({"openid.connect.token", "openid.connect.userInfo"})
"""Methods that ask for no bot token: the first for the app's secret, the second for the token of whoever signed in."""


@dataclass(frozen=True, slots=True)
class _Code:
    person_id: str
    redirect_uri: str


class SigningIn:
    """The OpenID part of the sandbox. `client_id`, `client_secret`: what our app was given."""

    def __init__(self, workspace: Workspace) -> None:
        self.client_id, self.client_secret = "1234.5678", "sandbox-client-secret"
        self._space = workspace
        self._codes: dict[str, _Code] = {}
        self._tokens: dict[str, str] = {}

    async def serve_authorize(self, request: web.Request) -> web.Response:
        """Show who one can be; or, once somebody was chosen, send their browser back with a code."""
        asked = request.query
        if asked.get("client_id") != self.client_id or asked.get("response_type") != "code":
            return web.Response(status=400, text="invalid_client_id")
        chosen = self._space.people.get(asked.get("as", ""))
        if chosen is None:
            links = "".join(
                f'<p><a href="?{escape(urlencode({**asked, "as": each.id}))}">{escape(each.name)}</a></p>'
                for each in self._space.people.values()
                if not each.is_bot
            )
            return web.Response(text=f"<h1>Sign in as</h1>{links}", content_type="text/html")
        code = secrets.token_hex(12)
        self._codes[code] = _Code(chosen.id, asked["redirect_uri"])
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked.get('state', '')})}")

    def answer(self, name: str, token: str, args: Arguments) -> Json:
        """Answer one of `METHODS`."""
        return self._exchange(args) if name == "openid.connect.token" else self._identity(token)

    def _exchange(self, args: Arguments) -> Json:
        if args.text("client_id") != self.client_id:
            raise Refused("invalid_client_id")
        if args.text("client_secret") != self.client_secret:
            raise Refused("bad_client_secret")
        code = self._codes.pop(args.text("code"), None)
        if code is None:
            raise Refused("invalid_code")
        if code.redirect_uri != args.text("redirect_uri"):
            raise Refused("bad_redirect_uri")
        token = f"xoxp-{secrets.token_hex(12)}"
        self._tokens[token] = code.person_id
        return {"access_token": token, "token_type": "Bearer", "id_token": "sandbox.sandbox.sandbox"}

    def _identity(self, token: str) -> Json:
        person = self._space.people.get(self._tokens.get(token, ""))
        if person is None:
            raise Refused("invalid_auth")
        return {
            "sub": person.id,
            "https://slack.com/user_id": person.id,
            "https://slack.com/team_id": person.team_id,
            "name": person.name,
        }
