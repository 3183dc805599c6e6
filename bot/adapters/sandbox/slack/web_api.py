"""The methods of Slack's Web API: one function each, over the workspace's state.

Every method is plain and synchronous: it takes arguments, answers a mapping or raises
`Refused`. Tokens, faults, rate limits and HTTP stand in `server`.

Source: https://docs.slack.dev/reference/methods (arguments and error codes of each).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.adapters.sandbox.slack.arguments import Arguments, micros, paged
from bot.adapters.sandbox.slack.blocks import (
    MESSAGE_BLOCKS_TEXT_MAX_CHARS,
    MESSAGE_TEXT_MAX_CHARS,
    Json,
    blocks_text_chars,
    completed,
    message_problems,
    view_problems,
)
from bot.adapters.sandbox.slack.views import Views
from bot.adapters.sandbox.slack.workspace import (
    APP_ID,
    BOT_ID,
    BOT_USER_ID,
    TEAM_ID,
    Channel,
    Message,
    Person,
    Refused,
    ResponseTicket,
    Workspace,
    top_level,
)


@dataclass(frozen=True)
class Method:
    """One method: what runs, and the scopes of which one is needed (none: any token)."""

    run: "Callable[[WebApi, Arguments], Json]"
    scopes: tuple[str, ...] = ()


def method_named(name: str) -> Method | None:
    """Return a method of the Web API, or None when the sandbox has none of that name."""
    return _METHODS.get(name)


def all_scopes() -> set[str]:
    """Return every bot scope that the sandbox knows."""
    used = {scope for method in _METHODS.values() for scope in method.scopes}
    return used | {"files:read", "commands", "app_mentions:read"}


def scopes_of(method: str) -> tuple[str, ...]:
    """Return the scopes of which a method needs one; none where any token will do.

    Raises:
        KeyError: The sandbox has no such method.
    """
    return _METHODS[method].scopes


class WebApi:
    """The methods, bound to one workspace."""

    def __init__(self, workspace: Workspace, views: Views) -> None:
        self._space = workspace
        self._views = views

    def auth_test(self, _args: Arguments) -> Json:
        """Tell whose token it is."""
        return {
            "url": "https://sandbox.slack.com/",
            "team": "Sandbox",
            "user": "aftersale",
            "team_id": TEAM_ID,
            "user_id": BOT_USER_ID,
            "bot_id": BOT_ID,
            "is_enterprise_install": False,
        }

    # ── messages ────────────────────────────────────────────────────────────

    def chat_post_message(self, args: Arguments) -> Json:
        """Post a message or a reply into a channel that the bot is in."""
        channel = self._channel(args)
        self._must_be_in(channel)
        if channel.is_archived:
            raise Refused("is_archived")
        message = self._message(args, channel)
        thread_ts = args.text("thread_ts")
        if thread_ts:
            parent = channel.by_ts.get(thread_ts)
            if parent is None:
                raise Refused("thread_not_found")
            if parent.is_reply:
                raise Refused("cannot_reply_to_message")
            message.thread_ts = thread_ts
            if args.flag("reply_broadcast"):
                message.subtype = "thread_broadcast"
        self._space.post(channel, message)
        told = message.as_json(with_metadata=True)
        return {"channel": channel.id, "ts": message.ts, "message": told}

    def chat_update(self, args: Arguments) -> Json:
        """Edit one of the bot's own messages; blocks and metadata left out stay."""
        channel = self._channel(args)
        message = self._own_message(channel, args, "cant_update_message")
        if channel.is_archived:
            raise Refused("is_archived")
        text, blocks = self._content(args, had_blocks=bool(message.blocks))
        before = message.as_json()
        message.text = text
        if blocks is not None:
            message.blocks = blocks
        if "metadata" in args:
            message.metadata = self._metadata(args)
        message.edited = {"user": BOT_USER_ID, "ts": self._space.new_ts()}
        self._space.tell_changed(channel, message, before)
        told = message.as_json(with_metadata=True)
        return {"channel": channel.id, "ts": message.ts, "text": text, "message": told}

    def chat_delete(self, args: Arguments) -> Json:
        """Delete one of the bot's own messages."""
        channel = self._channel(args)
        message = self._own_message(channel, args, "cant_delete_message")
        self._space.delete(channel, message)
        return {"channel": channel.id, "ts": message.ts}

    def chat_post_ephemeral(self, args: Arguments) -> Json:
        """Show a message to one member of a channel alone."""
        channel = self._channel(args)
        self._must_be_in(channel)
        if channel.is_archived:
            raise Refused("is_archived")
        user_id = args.text("user")
        if user_id not in channel.member_ids:
            raise Refused("user_not_in_channel")
        message = self._message(args, channel)
        message.is_ephemeral = True
        message.thread_ts = args.text("thread_ts") or None
        self._space.ephemerals.setdefault(user_id, []).append(message)
        self._space.changed()
        return {"message_ts": message.ts}

    def chat_get_permalink(self, args: Arguments) -> Json:
        """Give the address of a message."""
        channel = self._channel(args)
        ts = args.text("message_ts")
        if ts not in channel.by_ts:
            raise Refused("message_not_found")
        link = f"https://sandbox.slack.com/archives/{channel.id}/p{ts.replace('.', '')}"
        thread_ts = channel.by_ts[ts].thread_ts
        if thread_ts and thread_ts != ts:
            link += f"?thread_ts={thread_ts}&cid={channel.id}"
        return {"channel": channel.id, "permalink": link}

    def respond(self, ticket: ResponseTicket, args: Arguments) -> None:
        """Do what a POST to a response_url asks for: replace, delete, or say something."""
        channel = self._space.channels[ticket.channel_id]
        original = ticket.message
        if args.flag("delete_original") and original is not None:
            if original.is_ephemeral:
                self._space.ephemerals[ticket.person_id].remove(original)
                self._space.changed()
            else:
                self._space.delete(channel, original)
            return
        text, blocks = self._content(args, had_blocks=False)
        if args.flag("replace_original") and original is not None:
            before = original.as_json()
            original.text, original.blocks = text, blocks or []
            original.edited = {"user": BOT_USER_ID, "ts": self._space.new_ts()}
            if original.is_ephemeral:
                self._space.changed()
            else:
                self._space.tell_changed(channel, original, before)
            return
        message = self._message(args, channel)
        if args.text("response_type") == "in_channel":
            self._space.post(channel, message)
        else:
            message.is_ephemeral = True
            self._space.ephemerals.setdefault(ticket.person_id, []).append(message)
            self._space.changed()

    # ── channels and people ─────────────────────────────────────────────────

    def conversations_info(self, args: Arguments) -> Json:
        """Describe one channel."""
        return {"channel": _told_channel(self._channel(args))}

    def conversations_list(self, args: Arguments) -> Json:
        """List channels, public ones unless `types` says otherwise."""
        kinds = set((args.text("types") or "public_channel").replace(" ", "").split(","))
        channels = [
            _told_channel(channel)
            for channel in self._space.channels.values()
            if ("private_channel" if channel.is_private else "public_channel") in kinds
            and not (channel.is_private and BOT_USER_ID not in channel.member_ids)
            and not (channel.is_archived and args.flag("exclude_archived"))
        ]
        return paged("channels", channels, args)

    def conversations_members(self, args: Arguments) -> Json:
        """List the ids of those in a channel."""
        return paged("members", sorted(self._channel(args).member_ids), args)

    def conversations_join(self, args: Arguments) -> Json:
        """Take the bot into a public channel."""
        channel = self._channel(args)
        if channel.is_archived:
            raise Refused("is_archived")
        if channel.is_private:
            raise Refused("method_not_supported_for_channel_type")
        channel.member_ids.add(BOT_USER_ID)
        self._space.changed()
        return {"channel": _told_channel(channel)}

    def conversations_history(self, args: Arguments) -> Json:
        """List top-level messages, newest first."""
        channel = self._channel(args)
        self._must_be_in(channel)
        newest_first = sorted(top_level(channel.by_ts.values()), key=lambda message: message.ts, reverse=True)
        return self._messages(newest_first, args)

    def conversations_replies(self, args: Arguments) -> Json:
        """List a thread, its parent first."""
        channel = self._channel(args)
        self._must_be_in(channel)
        found = channel.by_ts.get(args.text("ts"))
        if found is None:
            raise Refused("thread_not_found")
        parent = channel.by_ts[found.thread_ts] if found.thread_ts else found
        return self._messages([parent, *parent.replies], args, always=parent)

    def users_info(self, args: Arguments) -> Json:
        """Describe one user."""
        person = self._space.people.get(args.text("user"))
        if person is None:
            raise Refused("user_not_found")
        return {"user": told_person(person)}

    def users_list(self, args: Arguments) -> Json:
        """List all users."""
        return paged("members", [told_person(p) for p in self._space.people.values()], args)

    # ── views ───────────────────────────────────────────────────────────────

    def views_open(self, args: Arguments) -> Json:
        """Open a modal with a fresh trigger."""
        view = self._view(args)  # First: a bad view does not use up the trigger.
        trigger = self._space.redeem_trigger(args.text("trigger_id"))
        return {"view": self._views.open(trigger.person_id, view)}

    def views_push(self, args: Arguments) -> Json:
        """Put a modal on top, with a trigger that comes from a modal."""
        view = self._view(args)
        trigger = self._space.redeem_trigger(args.text("trigger_id"))
        if trigger.view_id is None:
            raise Refused("not_found", ["[ERROR] the trigger does not come from a modal"])
        return {"view": self._views.push(trigger.person_id, view)}

    def views_update(self, args: Arguments) -> Json:
        """Give an open modal new content, guarded by its hash if one is given."""
        view = self._views.find(args.text("view_id"), args.text("external_id"))
        if args.text("hash") and args.text("hash") != view["hash"]:
            raise Refused("hash_conflict")
        return {"view": self._views.update(view, self._view(args))}

    def views_publish(self, args: Arguments) -> Json:
        """Set the home tab of one user."""
        user_id = args.text("user_id")
        if user_id not in self._space.people:
            raise Refused("invalid_arguments", ["[ERROR] user_id is not a user"])
        return {"view": self._views.publish(user_id, self._view(args), args.text("hash"))}

    # ── reactions and files ─────────────────────────────────────────────────

    def reactions_add(self, args: Arguments) -> Json:
        """Add an emoji to a message."""
        users = self._reacted(args).setdefault(args.text("name"), [])
        if BOT_USER_ID in users:
            raise Refused("already_reacted")
        users.append(BOT_USER_ID)
        self._space.changed()
        return {}

    def reactions_remove(self, args: Arguments) -> Json:
        """Take the bot's emoji off a message."""
        reactions = self._reacted(args)
        users = reactions.get(args.text("name"), [])
        if BOT_USER_ID not in users:
            raise Refused("no_reaction")
        users.remove(BOT_USER_ID)
        if not users:
            del reactions[args.text("name")]
        self._space.changed()
        return {}

    def files_get_upload_url(self, args: Arguments) -> Json:
        """Announce a file and give the address to send it to."""
        if not args.text("filename") or args.number("length", 0) <= 0:
            raise Refused("invalid_arguments", ["[ERROR] filename and length are needed"])
        file = self.new_file(args.text("filename"), args.number("length", 0), BOT_USER_ID)
        url = f"{self._space.origin}/upload/v1/{file['id']}"
        return {"upload_url": url, "file_id": file["id"]}

    def files_complete_upload(self, args: Arguments) -> Json:
        """Share files that were sent, perhaps in a channel or thread."""
        wanted = args.parsed("files", "invalid_arguments") or []
        files = [self._space.files.get(item.get("id")) for item in wanted]
        if not files or any(file is None for file in files):
            raise Refused("file_not_found")
        for file, item in zip(files, wanted, strict=True):
            if file is not None and file["id"] not in self._space.file_bytes:
                raise Refused("file_upload_incomplete")
            if file is not None and item.get("title"):
                file["title"] = item["title"]
        shared = [file for file in files if file is not None]
        if "channel_id" in args:
            channel = self._space.channels.get(args.text("channel_id"))
            if channel is None:
                raise Refused("channel_not_found")
            self._must_be_in(channel)
            message = self._bot_message(channel, args.text("initial_comment"), [])
            message.files, message.subtype = shared, "file_share"
            message.thread_ts = args.text("thread_ts") or None
            if message.thread_ts and message.thread_ts not in channel.by_ts:
                raise Refused("thread_not_found")
            self._space.post(channel, message)
        return {"files": shared}

    def new_file(self, name: str, size: int, user_id: str) -> Json:
        """Return a new file object; its bytes come later."""
        file_id = self._space.new_id("F")
        file: Json = {
            "id": file_id,
            "name": name,
            "title": name,
            "size": size,
            "user": user_id,
            "url_private": f"{self._space.origin}/files/{file_id}/{name}",
            "url_private_download": f"{self._space.origin}/files/{file_id}/{name}",
        }
        self._space.files[file_id] = file
        return file

    # ── parts ───────────────────────────────────────────────────────────────

    def _channel(self, args: Arguments) -> Channel:
        channel = self._space.channels.get(args.text("channel"))
        if channel is None or (channel.is_private and BOT_USER_ID not in channel.member_ids):
            raise Refused("channel_not_found")
        return channel

    def _must_be_in(self, channel: Channel) -> None:
        if BOT_USER_ID not in channel.member_ids:
            raise Refused("not_in_channel")

    def _own_message(self, channel: Channel, args: Arguments, foreign: str) -> Message:
        message = channel.by_ts.get(args.text("ts"))
        if message is None:
            raise Refused("message_not_found")
        if message.bot_id != BOT_ID:
            raise Refused(foreign)
        return message

    def _message(self, args: Arguments, channel: Channel) -> Message:
        text, blocks = self._content(args, had_blocks=False)
        message = self._bot_message(channel, text, blocks or [])
        message.metadata = self._metadata(args)
        return message

    def _bot_message(self, channel: Channel, text: str, blocks: list[Json]) -> Message:
        return Message(
            channel_id=channel.id,
            ts=self._space.new_ts(),
            user=BOT_USER_ID,
            bot_id=BOT_ID,
            text=text,
            blocks=blocks,
        )

    def _content(self, args: Arguments, *, had_blocks: bool) -> tuple[str, list[Json] | None]:
        text = args.text("text")
        if len(text) > MESSAGE_TEXT_MAX_CHARS:
            raise Refused("msg_too_long")
        blocks = args.parsed("blocks", "invalid_blocks_format")
        if not text and not blocks and not (had_blocks and blocks is None):
            raise Refused("no_text")
        if blocks is None:
            return text, None
        problems = message_problems(blocks)
        if problems:
            raise Refused("invalid_blocks", problems)
        if blocks_text_chars(blocks) > MESSAGE_BLOCKS_TEXT_MAX_CHARS:
            raise Refused("msg_blocks_too_long")
        return text, completed(blocks, self._space.new_id)

    def _metadata(self, args: Arguments) -> Json | None:
        metadata = args.parsed("metadata", "invalid_metadata_format")
        if not metadata:
            return None
        is_right = isinstance(metadata, dict) and isinstance(metadata.get("event_type"), str)
        if not is_right or not isinstance(metadata.get("event_payload"), dict):
            raise Refused("invalid_metadata_format")
        return dict(metadata)

    def _messages(self, messages: Sequence[Message], args: Arguments, always: Message | None = None) -> Json:
        oldest = micros(args, "oldest", 0)
        latest = micros(args, "latest", 1 << 63)
        inclusive = args.flag("inclusive")

        def is_wanted(message: Message) -> bool:
            at = int(message.ts.replace(".", ""))
            return message is always or (oldest < at < latest or (inclusive and at in {oldest, latest}))

        with_metadata = args.flag("include_all_metadata")
        wanted = [message for message in messages if is_wanted(message)]
        page = paged("messages", wanted, args)
        page["messages"] = [m.as_json(with_metadata=with_metadata) for m in page["messages"]]
        page["has_more"] = bool(page["response_metadata"]["next_cursor"])
        return page

    def _view(self, args: Arguments) -> object:
        view: object = args.parsed("view", "invalid_arguments")
        if view is None:
            raise Refused("invalid_arguments", ["[ERROR] missing required field: view"])
        problems = view_problems(view)
        if problems:
            raise Refused("invalid_arguments", problems)
        return view

    def _reacted(self, args: Arguments) -> dict[str, list[str]]:
        message = self._channel(args).by_ts.get(args.text("timestamp"))
        if message is None:
            raise Refused("message_not_found")
        if not args.text("name"):
            raise Refused("invalid_name")
        return message.reactions


def _told_channel(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_member": BOT_USER_ID in channel.member_ids,
        "num_members": len(channel.member_ids),
    }


def told_person(person: Person) -> Json:
    """Return a user as Slack describes them."""
    return {
        "id": person.id,
        "team_id": person.team_id,
        "name": person.handle,
        "real_name": person.name,
        "tz": person.tz,
        "deleted": person.has_left,
        "is_bot": person.is_bot,
        "is_app_user": False,
        "is_admin": person.admin,
        "is_owner": False,
        "is_restricted": person.guest or person.one_channel,
        "is_ultra_restricted": person.one_channel,
        "is_stranger": person.stranger,
        "profile": {
            "real_name": person.name,
            "display_name": person.handle,
            **({"api_app_id": APP_ID} if person.is_bot else {}),
        },
    }


_READ = ("channels:read", "groups:read")
_HISTORY = ("channels:history", "groups:history")
_WRITE = ("chat:write",)
_METHODS: dict[str, Method] = {
    "auth.test": Method(WebApi.auth_test),
    "chat.postMessage": Method(WebApi.chat_post_message, _WRITE),
    "chat.update": Method(WebApi.chat_update, _WRITE),
    "chat.delete": Method(WebApi.chat_delete, _WRITE),
    "chat.postEphemeral": Method(WebApi.chat_post_ephemeral, _WRITE),
    "chat.getPermalink": Method(WebApi.chat_get_permalink),
    "conversations.info": Method(WebApi.conversations_info, _READ),
    "conversations.list": Method(WebApi.conversations_list, _READ),
    "conversations.members": Method(WebApi.conversations_members, _READ),
    "conversations.join": Method(WebApi.conversations_join, ("channels:join",)),
    "conversations.history": Method(WebApi.conversations_history, _HISTORY),
    "conversations.replies": Method(WebApi.conversations_replies, _HISTORY),
    "users.info": Method(WebApi.users_info, ("users:read",)),
    "users.list": Method(WebApi.users_list, ("users:read",)),
    "views.open": Method(WebApi.views_open),
    "views.push": Method(WebApi.views_push),
    "views.update": Method(WebApi.views_update),
    "views.publish": Method(WebApi.views_publish),
    "reactions.add": Method(WebApi.reactions_add, ("reactions:write",)),
    "reactions.remove": Method(WebApi.reactions_remove, ("reactions:write",)),
    "files.getUploadURLExternal": Method(WebApi.files_get_upload_url, ("files:write",)),
    "files.completeUploadExternal": Method(WebApi.files_complete_upload, ("files:write",)),
}
