"""Messages out and what came in: what waits, failed or is in doubt, what to do about it, and trying again."""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import get_args

from starlette.requests import Request

from bot.app import advice
from bot.app.again import CAN_GO_AGAIN, send_again
from bot.app.wording import short
from bot.errors import FollowUpError
from bot.pages.drawing import Row, Rows, button, put
from bot.pages.frame import Visit, frame
from bot.ports.records import Incoming, Outgoing, OutgoingState
from storage.reports import Queue

_A_PAGE = 50
_LOOK_EVERY = 5.0
_OUT = ("unknown", "failed", "held", "waiting", "sending")
_IN = ("failed", "new")
_IN_STATES = ("new", "done", "ignored", "failed")
_STATE = {"failed": "bad", "unknown": "bad", "refused": "bad", "held": "warm", "sent": "good", "done": "good"}


async def draw_outbox(visit: Visit, request: Request) -> None:
    """Draw the page of messages out."""
    await _draw(visit, request, "outbox", get_args(OutgoingState), _OUT)


async def draw_inbox(visit: Visit, request: Request) -> None:
    """Draw the page of what came in."""
    await _draw(visit, request, "inbox", _IN_STATES, _IN)


async def _draw(visit: Visit, request: Request, queue: Queue, states: Sequence[str], needed: Sequence[str]) -> None:
    words = visit.words
    asked = request.query_params.get("state", "")
    wanted = (asked,) if asked in states else needed
    view = QueueView(visit, queue, wanted)
    found = await view.read()
    with frame(visit, words(queue), f"/{queue}"):
        put("h1", words(queue), "page-title")
        put("p", words(f"{queue}_lead"), "lead")
        with put("nav", None, "choices", aria_label=words("which")):
            for each in ("", *states):
                address = f"{visit.root}/{queue}" + (f"?state={each}" if each else "")
                current = "true" if each == (asked if asked in states else "") else None
                put("a", words(f"state_{each}") if each else words("needs_look"), "choice", href=address,
                    aria_current=current)  # fmt: skip
        view.draw(found)


class QueueView:
    """One queue in one window."""

    def __init__(self, visit: Visit, queue: Queue, states: Sequence[str]) -> None:
        """Be ready to draw what stands in any of `states`."""
        self._visit, self._queue, self._states = visit, queue, states
        self._doubted: set[int] = set()

    async def read(self) -> Sequence[Outgoing | Incoming]:
        """Ask for what is shown."""
        database = self._visit.world.program.database
        if self._queue == "outbox":
            return await database.read(lambda reports: reports.outbox(self._states, _A_PAGE))
        return await database.read(lambda reports: reports.inbox(self._states, _A_PAGE))

    def draw(self, found: Sequence[Outgoing | Incoming]) -> None:
        """Draw it here."""
        self._counts = Rows(put("div", None))
        with put("section", None, "card", aria_label=self._visit.words(self._queue)):
            self._rows = Rows(put("ul", None, "queue"), "li", "")
        self._show(found)
        self._visit.every(_LOOK_EVERY, self._look)

    async def _look(self) -> None:
        self._show(await self.read())

    def _show(self, found: Sequence[Outgoing | Incoming]) -> None:
        words = self._visit.words
        has_failed = any(each.state == "failed" for each in found)
        can_act = has_failed and self._visit.visitor.may("staff")
        self._counts.show([Row("all", can_act, self._draw_all)] if can_act else [])
        rows = [
            Row(each.id, repr((each.state, each.attempts, each.id in self._doubted)), partial(self._entry, each))
            for each in found
        ]
        self._rows.show(rows or [Row("none", None, partial(put, "p", words("nothing_here"), "quiet"))])

    def _draw_all(self) -> None:
        button(self._visit.words("retry_all"), self._retry_all, "button")

    def _entry(self, each: Outgoing | Incoming) -> None:
        words, zone = self._visit.words, self._visit.zone
        advised = advice.on_outgoing(each) if isinstance(each, Outgoing) else advice.on_incoming(each)
        why = each.reason if isinstance(each, Outgoing) else each.error
        with put("div", None, "row"):
            put("span", words(f"state_{each.state}"), f"tag {_STATE.get(each.state, '')}")
            if isinstance(each, Outgoing):
                put("span", f"{each.channel} · {each.kind}", "quiet small")
                put("span", words.moment(each.not_before, zone), "quiet small")
                if each.sale_id:
                    put("a", each.sale_id, "small", href=f"{self._visit.root}/sales/{each.sale_id}")
            else:
                put("span", f"{each.source} · {each.key}", "quiet small")
                put("span", words.moment(each.received_at, zone), "quiet small")
        told = each.body.get("text") or each.key if isinstance(each, Outgoing) else json.dumps(each.payload)
        put("p", short(told, 200))
        if why:
            put("p", self._visit.told(why), "small strong")
        if advised:
            put("p", f"→ {advised}", "quiet small")
        if self._visit.visitor.may("staff") and self._can_go(each):
            self._retry_button(each)

    def _can_go(self, each: Outgoing | Incoming) -> bool:
        return each.state in (CAN_GO_AGAIN if isinstance(each, Outgoing) else ("failed", "ignored"))

    def _retry_button(self, each: Outgoing | Incoming) -> None:
        words, number = self._visit.words, each.id or 0
        is_doubtful = each.state == "unknown"
        if is_doubtful and number not in self._doubted:
            button(words("retry"), partial(self._doubt, number), "button small")
        else:
            label = words("retry_doubtful") if is_doubtful else words("retry")
            button(label, partial(self._retry, number), "button small danger" if is_doubtful else "button small")

    async def _doubt(self, number: int) -> None:
        self._doubted.add(number)
        await self._look()

    async def _retry(self, number: int) -> None:
        await self._again(lambda: self._let_go([number]))

    async def _retry_all(self) -> None:
        async def every() -> int:
            program, done, after = self._visit.world.program, 0, 0
            while some := await program.database.read(
                lambda reports, after=after: reports.failed_ids(self._queue, after, 500)  # type: ignore[misc]  # a default cannot be typed
            ):
                done += await self._let_go(some)
                after = some[-1]
            return done

        await self._again(every)

    async def _let_go(self, numbers: Iterable[int]) -> int:
        program = self._visit.world.program
        some, now = list(numbers), program.house.clock.now()
        if self._queue == "outbox":
            return await program.database.run(lambda uow: send_again(uow, some, now))
        return len(await program.database.run(lambda uow: uow.retry_incoming(some)))

    async def _again(self, work: Callable[[], Awaitable[int]]) -> None:
        words = self._visit.words
        try:
            await self._visit.demand("staff")
            done = await work()
        except FollowUpError as error:
            self._visit.say(str(error), "bad")
            return
        self._visit.world.program.wake()
        self._visit.say(words("tried_again", number=done), "good")
        await self._look()
