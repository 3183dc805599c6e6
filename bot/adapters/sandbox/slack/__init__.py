"""A local Slack: Web API, Socket Mode and signed HTTP, with members of staff to play.

`SandboxSlack` is the way in. Rules live in the modules beside: `blocks` (limits), `web_api`
(methods), `views` (modals), `delivery` (sockets, signatures, acknowledgements), `members`.
"""

from bot.adapters.sandbox.slack.delivery import MissedAck, Timing
from bot.adapters.sandbox.slack.forms import CannotDo
from bot.adapters.sandbox.slack.markup import STYLE, html, view_html
from bot.adapters.sandbox.slack.members import Member, Submitted
from bot.adapters.sandbox.slack.rendering import render_blocks, render_view
from bot.adapters.sandbox.slack.server import Call, SandboxSlack
from bot.adapters.sandbox.slack.workspace import Ack, Channel, Message, Person

__all__ = [
    "STYLE",
    "Ack",
    "Call",
    "CannotDo",
    "Channel",
    "Member",
    "Message",
    "MissedAck",
    "Person",
    "SandboxSlack",
    "Submitted",
    "Timing",
    "html",
    "render_blocks",
    "render_view",
    "view_html",
]
