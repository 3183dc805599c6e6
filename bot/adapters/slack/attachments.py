"""What a customer sent beside words, brought into the thread: photos, voice, video, files.

Bringing (fetch, upload) shows nothing yet and may be done again; sharing is one call. What cannot be had is told in
words that whoever reads the thread can do something with. No text of a message is made here.

Source: https://docs.slack.dev/messaging/working-with-files#upload and …/reference/methods/files.completeUploadExternal
(a file is announced, sent, and shared in one thread by its ts; read 2026-11-25).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiohttp
import structlog

from bot.adapters.slack.client import CALL_FAILURES, SlackClient, error_code, in_words
from bot.errors import DeliveryDelayed, DeliveryRefused, FollowUpError

Fetch: TypeAlias = Callable[[str], Awaitable[tuple[str, bytes]]]
"""Gives name and content of a file that the messenger keeps under an id.

Raises `DeliveryDelayed` (later again) or `DeliveryRefused` (never), with words that staff can read.
"""

NAMES: Mapping[str, str] = {
    "photo": "Photo",
    "voice": "Voice message",
    "video": "Video",
    "video_note": "Video message",
    "animation": "Animation",
    "audio": "Audio",
    "sticker": "Sticker",
    "document": "File",
}
"""What a thing is called; the title of what is shown."""

FOR_GOOD = frozenset({"missing_scope", "file_uploads_disabled", "not_allowed_token_type", "posting_to_channel_denied"})
"""What Slack refuses however often it is tried."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Brought:
    """Files that Slack has, and shows nobody yet; and why others could not be had, in words."""

    files: Sequence[Mapping[str, str]] = ()
    problems: Sequence[str] = field(default_factory=tuple)


class Attachments:
    """Brings files from the messenger to Slack."""

    def __init__(self, client: SlackClient, fetch: Fetch | None) -> None:
        """Upload through `client` what `fetch` gives."""
        self._client, self._fetch = client, fetch

    async def bring(self, media: Sequence[Mapping[str, Any]], *, is_last_try: bool) -> Brought:
        """Fetch and upload what there is; what has no file (a place, a contact) is in the words already.

        Raises:
            DeliveryDelayed: it cannot be had just now, and this is not the last try.
        """
        files: list[Mapping[str, str]] = []
        problems: list[str] = []
        for thing in media:
            if not thing.get("file_id"):
                continue
            name = NAMES.get(str(thing.get("kind")), "File")
            try:
                files.append(await self._bring(str(thing["file_id"]), name))
            except DeliveryDelayed as error:
                if not is_last_try:
                    raise
                problems.append(_not_shown(name, error))
            except FollowUpError as error:
                problems.append(_not_shown(name, error))
        return Brought(files, problems)

    async def _bring(self, file_id: str, name: str) -> Mapping[str, str]:
        if self._fetch is None:
            raise DeliveryRefused("invalid", "this program cannot fetch files")
        filename, content = await self._fetch(file_id)
        if not content:
            raise DeliveryRefused("invalid", "it is empty")
        try:
            answer = await self._client.files_getUploadURLExternal(
                filename=filename, length=len(content), alt_txt=f"{name} from the customer"
            )
            await self._send(str(answer["upload_url"]), content)
        except CALL_FAILURES as error:
            raise _trouble(error) from error
        return {"id": str(answer["file_id"]), "title": name}

    async def _send(self, address: str, content: bytes) -> None:
        session = self._client.session
        if session is None:  # pragma: no cover - the call before has opened it
            raise aiohttp.ClientError("there is no connection")
        proxy = self._client.proxy
        async with session.post(address, data=content, proxy=proxy) as response:
            response.raise_for_status()

    async def share(self, brought: Brought, channel: str, thread_ts: str) -> str | None:
        """Show what was brought in a thread; give why it could not be, in words."""
        if not brought.files:
            return None
        try:
            await self._client.files_completeUploadExternal(
                files=[dict(each) for each in brought.files], channel_id=channel, thread_ts=thread_ts
            )
        except CALL_FAILURES as error:
            log.warning("slack.files_not_shared", problem=in_words(error))
            names = ", ".join(each["title"] for each in brought.files)
            return f"⚠️ {names}: perhaps not shown here (Slack: {in_words(error)}). It stands in the customer's chat."
        return None


def _not_shown(name: str, error: Exception) -> str:
    return f"⚠️ {name}: cannot be shown here ({error}). Ask the customer to describe it, or to send it another way."


def _trouble(error: Exception) -> FollowUpError:
    if error_code(error) in FOR_GOOD:
        return DeliveryRefused("invalid", f"Slack: {in_words(error)}")
    return DeliveryDelayed(f"Slack: {in_words(error)}")
