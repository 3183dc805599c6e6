"""The flow's tests: what was expected and what came, side by side, and which ways nobody walks."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.errors import FlowError, FollowUpError
from bot.pages.drawing import button, html, put
from bot.pages.studio import markup
from bot.pages.studio.hands import Hands
from bot.trials.coverage import Coverage, coverage
from bot.trials.trial import Result, run_trial
from storage.scratch import ScratchDatabase


@dataclass(frozen=True, slots=True)
class _Ran:
    """What came of running them."""

    results: Sequence[Result]
    errors: Sequence[FlowError]
    walked: Coverage | None
    seconds: float


class Trials:
    """The panel of the tests."""

    def __init__(self, hands: Hands) -> None:
        """Draw it here; nothing is run yet."""
        self._hands = hands
        words = hands.visit.words
        with put("div", None, "studio-bar"):
            self._summary = put("p", words("tests_not_run"), "quiet small", aria_live="polite", role="status")
            with put("div", None, "end"):
                button(words("tests_run"), self.run, "button small")
        self._body = put("div", None, "panel-body", tabindex="0", role="region", aria_label=words("tests"))
        self._is_stale, self._running = True, asyncio.Lock()

    def is_stale(self) -> None:
        """Take note that what they are about has changed."""
        self._is_stale = True

    async def shown(self) -> None:
        """Run them if something has changed since."""
        if self._is_stale:
            await self.run()

    async def run(self) -> None:
        """Run all tests of the flow, as flow and tests are typed."""
        hands, words = self._hands, self._hands.visit.words
        typed = hands.typed()

        def work() -> _Ran:
            began = time.perf_counter()
            drafts = hands.workshop.drafts(typed)
            trials, errors = drafts.trials(hands.name)
            database = ScratchDatabase()
            try:
                results = [run_trial(each, drafts.shop, drafts.flow_files, database) for each in trials]
            finally:
                database.close()
            flow = drafts.flow_files.flows.get(hands.name)
            moves = [move for each in results for move in each.moves]
            walked = coverage(flow, moves) if flow is not None else None
            return _Ran(results, errors, walked, time.perf_counter() - began)

        self._set_summary(words("tests_running"), "quiet")
        async with self._running:
            self._is_stale = False
            try:
                ran = await asyncio.to_thread(work)
            except FollowUpError as error:
                self._set_summary(str(error), "quiet")
                return
        if not self._body.is_deleted:
            self._show(ran)

    def _show(self, ran: _Ran) -> None:
        words = self._hands.visit.words
        failed = [each for each in ran.results if not each.passed]
        passed = len(ran.results) - len(failed)
        kind = "tag bad" if failed or ran.errors else "tag good" if ran.results else "quiet"
        seconds = f"{ran.seconds:.1f}"
        told = words("tests_result", passed=passed, failed=len(failed), seconds=seconds) if ran.results else ""
        self._set_summary(told or words("tests_none"), kind)
        self._body.clear()
        with self._body:
            for error in ran.errors:
                put("p", str(error), "says bad")
            for each in [*failed, *(one for one in ran.results if one.passed)]:
                self._draw(each)
            if ran.walked is not None and ran.results:
                with put("div", None, "trial"):
                    walked = words("ways_walked", walked=len(ran.walked.walked), all=len(ran.walked.ways))
                    put("p", walked, "strong")
                    for way in ran.walked.missing:
                        put("p", words("nobody_walks", way=way), "quiet small")

    def _draw(self, result: Result) -> None:
        with put("div", None, "trial passed" if result.passed else "trial failed"):
            with put("p"):
                put("span", "✓" if result.passed else "✗", "sign", aria_hidden="true")
                put("span", self._hands.visit.words("passed" if result.passed else "failed"), "sr")
                put("span", f" {result.trial.name}", "strong")
                put("span", f" {result.trial.about}", "quiet small")
            if not result.passed:
                put("p", result.problem or "", "wrong")
                put("p", result.place.rpartition("/")[2], "quiet small")
                html(markup.expected_and_actual(result.rows, self._hands.visit.words))

    def _set_summary(self, text: str, kind: str) -> None:
        self._summary.clear()
        self._summary.text = text  # type: ignore[attr-defined]
        self._summary.classes(replace=kind)
