"""The sandbox without a browser: what is done on the page, what is then to be seen, and what is proposed next."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

from bot.pages.playground import Playground, open_playground
from bot.pages.scene import try_next


async def test_each_step_of_the_way_is_proposed_and_seen() -> None:
    """From the order to the unhappy reply: the hint names the next step, and the scene shows what came of the last."""
    async with open_playground() as playground:
        guest = playground.guests[0]
        assert try_next(playground.scene, 0) == "try_place"
        assert await playground.act(partial(playground.happens, guest, "order.placed")) == ""
        assert try_next(playground.scene, 0) == "try_scan"
        assert await playground.act(partial(playground.scan, guest)) == ""
        assert try_next(playground.scene, 0) == "try_answer"
        asked = playground.scene.chats[0].bubbles[-1]
        assert await playground.act(partial(guest.customer.tap_old, asked.number, asked.keys[0][0])) == ""
        assert try_next(playground.scene, 0) == "try_deliver"
        assert await playground.act(partial(playground.happens, guest, "order.delivered")) == ""
        assert try_next(playground.scene, 0) == "try_jump"
        assert playground.scene.steps[0].why == "because of order.delivered"
        before = playground.scene.now
        assert await playground.act(partial(playground.go_on, timedelta(days=4))) == ""
        assert playground.scene.now - before == timedelta(days=4)
        question = next(each for each in playground.scene.chats[0].bubbles if "as we promised?" in each.text)
        assert question.at - before == timedelta(days=2), "it came at its own time, not at the end of the jump"
        assert try_next(playground.scene, 0) == "try_unhappy"
        assert try_next(playground.scene, 1) == "try_place", "another customer is where they were"


async def test_what_cannot_be_done_is_said_in_words_and_changes_nothing() -> None:
    """No order yet, nothing planned, a button that is no more: each gives a sentence, and the scene stays."""
    async with open_playground() as playground:
        guest, before = playground.guests[0], playground.scene
        assert await playground.act(partial(playground.happens, guest, "order.shipped")) == "there is no order yet"
        assert await playground.act(playground.next_thing) == "nothing is planned"
        assert "No button" in await playground.act(partial(guest.customer.tap, "Yes"))
        assert playground.scene == before
        assert not playground.is_busy


async def test_two_windows_act_one_after_the_other_and_the_morning_is_at_nine() -> None:
    """What is pressed in two windows at once is done in turn; the next morning is nine o'clock where the shop is."""
    async with open_playground() as playground:
        places = [partial(playground.happens, guest, "order.placed") for guest in playground.guests]
        assert await asyncio.gather(*map(playground.act, places)) == [""] * len(places)
        assert [order.chat for order in playground.scene.orders] == list(range(len(places)))
        await playground.act(partial(playground.go_on, timedelta(hours=5)))
        await playground.act(playground.next_morning)
        local = playground.scene.now.astimezone(playground.zone)
        assert (local.hour, local.minute, local.day) == (9, 0, 24)


async def test_starting_over_forgets_everything_and_leaves_nothing_behind() -> None:
    """No order, no message, the first moment again; and no folder of any stage once it is closed."""
    async with open_playground() as playground:
        first, folders = playground.scene, [folder_of(playground)]
        await playground.act(partial(playground.happens, playground.guests[0], "order.placed"))
        await playground.act(partial(playground.go_on, timedelta(days=1)))
        assert playground.scene != first
        await playground.start_over()
        assert playground.scene == first
        folders.append(folder_of(playground))
        assert [folder.exists() for folder in folders] == [False, True]
    assert [folder.exists() for folder in folders] == [False, False]


def folder_of(playground: Playground) -> Path:
    """Give where a stage keeps its database."""
    return Path(playground.stage.settings.database_url.removeprefix("sqlite:///")).parent
