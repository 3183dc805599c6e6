"""Drains the outbox: claim what is due, check every guard again, send through the adapter, mark it.

*Delivery* means parcels here, so this room is called dispatch. What goes at most once (anything the bot itself says
to a customer) is marked ``unknown`` when nobody can say whether it arrived; what goes at least once (a person's reply,
anything for Slack, an edit) is repeated and says so.

`claiming` takes messages from the outbox, `turns` lets each wait for its turn, `sending` keeps them on their way,
`marking` writes down what came of them, and `refusals` what follows where the other side said no.
"""

from bot.dispatch.attempts import AT_MOST_ONCE, Outcome
from bot.dispatch.claiming import claim
from bot.dispatch.marking import mark, mark_all, recover
from bot.dispatch.sending import Dispatcher
from bot.dispatch.turns import Limits

__all__ = ["AT_MOST_ONCE", "Dispatcher", "Limits", "Outcome", "claim", "mark", "mark_all", "recover"]
