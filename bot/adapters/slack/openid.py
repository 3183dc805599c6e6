"""Sign in with Slack: where to send somebody's browser, and who comes back. What they may do is not said here.

The identity is asked of Slack itself, over the connection that the code was exchanged on; so nothing that came through
a browser has to be believed, and no signature to be checked.
Source: https://docs.slack.dev/authentication/sign-in-with-slack (read 2026-11-25).
"""

from dataclasses import dataclass
from urllib.parse import urlencode, urljoin

from bot.adapters.slack.client import CALL_FAILURES, SlackClient, error_code, in_words
from bot.adapters.slack.staff import Door
from bot.desk.shop import Shop
from bot.errors import ConfigurationError, DeliveryDelayed, FollowUpError, Forbidden
from bot.ports.channels import Clock

SCOPES = "openid profile"
_AUTHORIZE = "../openid/connect/authorize"
"""Beside the Web API, at the same host."""
_OF_THE_APP = {"bad_client_secret", "invalid_client_id", "bad_redirect_uri", "invalid_client"}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody of our workspace: their member id, and their name."""

    member: str
    name: str


class SlackSignIn:
    """Sign in with Slack, for the members of the bot's own workspace."""

    def __init__(
        self, *, client_id: str, client_secret: str, bot_token: str, api_base: str, clock: Clock, shop: Shop
    ) -> None:
        """Be ready to ask; nothing is called before somebody signs in."""
        self._client_id, self._client_secret = client_id, client_secret
        self._bot_token, self._api_base = bot_token, api_base
        self._clock, self._shop = clock, shop

    def address(self, redirect_uri: str, state: str) -> str:
        """Give where somebody's browser is sent; it comes back to `redirect_uri` with a code and the same `state`."""
        asked = {
            "response_type": "code",
            "scope": SCOPES,
            "client_id": self._client_id,
            "state": state,
            "redirect_uri": redirect_uri,
        }
        return f"{urljoin(self._api_base, _AUTHORIZE)}?{urlencode(asked)}"

    async def who(self, code: str, redirect_uri: str) -> SignedIn:
        """Tell who came back with `code`.

        Raises:
            Forbidden: the code is no good (any more), or they are a guest or of another workspace.
            ConfigurationError: Slack does not know our client id and secret, or the address.
            FollowUpError: Slack cannot be reached.
        """
        try:
            identity = await self._identity(code, redirect_uri)
            member = str(identity["https://slack.com/user_id"])
            bot = SlackClient(self._bot_token, self._api_base)
            try:
                # Asked here as well: where Slack does not say who somebody is, nobody comes in.
                await bot.users_info(user=member)
                door = Door(bot, self._clock, self._shop)
                staff = await door.staff({"id": member, "team_id": identity.get("https://slack.com/team_id")})
            finally:
                await bot.close()
        except (*CALL_FAILURES, DeliveryDelayed) as error:
            code_of = error_code(error)
            if code_of in _OF_THE_APP:
                mend = "copy id and secret from your Slack app's page “Basic Information”, and allow the “Redirect URL”"
                raise ConfigurationError("SLACK_CLIENT_ID", f"Slack says {code_of}", mend) from None
            if code_of:
                raise Forbidden(f"Slack did not confirm who you are ({code_of})") from None
            raise FollowUpError(
                f"Slack cannot be reached just now ({in_words(error)}); try again in a moment"
            ) from None
        refusal = door.no_colleague(staff)
        if refusal is not None:
            raise Forbidden(refusal)
        return SignedIn(member, str(identity.get("name") or member))

    async def _identity(self, code: str, redirect_uri: str) -> dict[str, str]:
        client = SlackClient("", self._api_base)
        try:
            # Not by the SDK's own method: it hands the secret to aiohttp in a way that aiohttp is about to take away.
            asked = {
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "code": code,
                "redirect_uri": redirect_uri,
                "grant_type": "authorization_code",
            }
            token = await client.api_call("openid.connect.token", data=asked)
        finally:
            await client.close()
        theirs = SlackClient(str(token["access_token"]), self._api_base)
        try:
            return dict((await theirs.openid_connect_userInfo()).data)  # type: ignore[arg-type]  # as above
        finally:
            await theirs.close()
