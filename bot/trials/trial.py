"""Running a flow test: the story is played, and what was said is laid beside what was expected.

What lives here: the order of the lines, and what counts as fitting. What must not: how it is shown (the commands do
that), and any rule of the product (the simulation plays the real ones).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from bot.desk.shop import Shop
from bot.errors import FollowUpError
from bot.flows.yaml_tree import Place
from bot.ports.channels import FlowSource
from bot.sales import after
from bot.trials.labels import letters
from bot.trials.model import Act, CaseStands, Ends, SaleStands, Says, StaffTold, Step, Trial
from bot.trials.moments import When
from bot.trials.reasons import clock, reason
from bot.trials.simulation import Given, Simulation
from bot.trials.trail import Answered, Did, Moved, Said
from storage.scratch import ScratchDatabase

HORIZON = timedelta(days=400)
"""How long something that is expected at no particular time is waited for."""

_LOOK_ON = timedelta(days=60)
"""How far beyond a line that failed is looked for what came instead."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of both transcripts. `fits` is None for lines that were not reached any more."""

    expected: str
    actual: str
    fits: bool | None = True


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a test: `problem` is None where it passed, else why not, with the place of the line in the file."""

    trial: Trial
    rows: tuple[Row, ...]
    moves: tuple[Moved | Answered, ...]
    days: float
    problem: str | None = None
    place: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return self.problem is None


def run_trial(trial: Trial, shop: Shop, flows: FlowSource, database: ScratchDatabase | None = None) -> Result:
    """Play one test. Never raises for what the test or the flow says."""
    return _Run(trial, shop, flows, database).result()


class _Unlike(FollowUpError):
    """Something was not as expected."""

    def __init__(self, problem: str, expected: str = "", actual: str = "") -> None:
        super().__init__(problem)
        self.expected, self.actual = expected, actual


@dataclass(slots=True)
class _Seen:
    """How much of what happened was expected by now."""

    entries: int = 0
    told: int = 0


class _Run:
    def __init__(self, trial: Trial, shop: Shop, flows: FlowSource, database: ScratchDatabase | None) -> None:
        setting = trial.setting
        self._trial, self._seen = trial, _Seen()
        self._rows: list[Row] = []
        if setting.guards is not None:
            shop = replace(shop, guards=setting.guards)
        # The zone is the customer's, which is known once there is a house: so the start is set in two steps.
        given = Given(setting.sale, datetime(2000, 1, 1, tzinfo=UTC), setting.consents)
        part = (trial.flow, *setting.flows)
        zone = ZoneInfo(Simulation.zone_of(given, shop))
        start = setting.start.after(given.start, zone, lambda at, length: at + length.span)
        self._sim = Simulation(shop, flows, replace(given, start=start), taking_part=part, database=database)
        self._zone = zone

    def result(self) -> Result:
        problem, place = None, ""
        for number, step in enumerate(self._trial.story):
            try:
                self._step(step)
            except FollowUpError as error:
                problem, place = str(error), f"{self._trial.file}:{step.place.line}:{step.place.column}"
                self._fail(error, step)
                self._rows += [Row(self._expected(each), "", None) for each in self._trial.story[number + 1 :]]
                break
        else:
            try:
                self._nothing_more()
            except _Unlike as error:
                last = self._trial.story[-1].place if self._trial.story else Place()
                problem, place = str(error), f"{self._trial.file}:{last.line}:{last.column}"
                self._rows.append(Row(error.expected, error.actual, fits=False))
        sim = self._sim
        days = (sim.now - sim.given.start) / timedelta(days=1)
        return Result(self._trial, tuple(self._rows), tuple(sim.trail.moves), days, problem, place)

    # one line

    def _step(self, step: Step) -> None:
        match step.line:
            case Act():
                self._act(step, step.line)
            case Says():
                self._says(step, step.line)
            case CaseStands():
                self._check(step, self._case_words(), self._fits_case(step.line))
            case StaffTold():
                self._staff_told(step, step.line)
            case SaleStands():
                sale = self._sim.sale()
                complete = sale is not None and sale.confirmed_at is not None
                words = f"the sale is {'complete' if complete else 'not complete'}"
                self._check(step, words, complete == step.line.complete)
            case Ends():
                outcome = self._sim.trail.outcomes.get(self._trial.flow)
                words = f"the conversation ended: {outcome}" if outcome else "the conversation has not ended"
                self._check(step, words, outcome == step.line.outcome)

    def _act(self, step: Step, act: Act) -> None:
        at = self._moment(act.more.get("until") or step.at)
        if at is not None:
            if at < self._sim.now:
                raise _Unlike(f"it is already {self._clock(self._sim.now)}: this line lies in the past")
            self._sim.go(at)
        self._nothing_more()
        before = len(self._sim.entries)
        self._perform(act)
        done = self._expected(step)
        new = self._sim.entries[before:]
        refused = next((each.refused for each in new if isinstance(each, Did) and each.refused), None)
        if refused:
            raise _Unlike(f"nothing came of it: {refused}", done, f"nothing came of it: {refused}")
        self._rows.append(Row(done, self._line(self._sim.now, self._words(act))))

    def _perform(self, act: Act) -> None:
        sim, more = self._sim, act.more
        match act.kind:
            case "event":
                occurred = self._moment(more.get("occurred"))
                sim.happens(act.value, occurred_at=occurred, **more.get("sale", {}))
            case "tap":
                sim.taps(act.value)
            case "write":
                sim.writes(act.value)
            case "send":
                sim.sends(act.value, more.get("caption", ""))
            case "link":
                sim.links()
            case "block":
                sim.blocks()
            case "claim":
                sim.claims()
            case "reply":
                sim.replies(act.value)
            case "remedy":
                sim.remedies(act.value, more.get("note", ""))
            case "hand_over":
                sim.hands_over(act.value, more.get("reason", ""))
            case _:
                pass  # silence: the time has passed already

    def _says(self, step: Step, says: Says) -> None:
        wanted = self._moment(step.at)
        said = self._unread()
        if said is None:
            said = self._sim.go_to_next_said(wanted or self._sim.now + HORIZON)
        if said is None:
            by = f" by {self._clock(wanted)}" if wanted else f" in {HORIZON.days} days"
            raise _Unlike(f"nothing was said{by}", self._expected(step), "nothing")
        self._seen.entries = self._place_of(said) + 1
        shown = self._said_words(said)
        if problem := self._unlike(said, says, wanted):
            raise _Unlike(problem, self._expected(step), shown)
        self._rows.append(Row(self._expected(step), shown))

    def _unlike(self, said: Said, says: Says, wanted: datetime | None) -> str | None:
        text = _one_line(said.text)
        for each in says.texts:
            words = _one_line(each)
            if (says.exactly and text != words) or words.casefold() not in text.casefold():
                return "something else was said"
        if wanted is not None and abs(said.at - wanted) >= timedelta(minutes=1):
            why = reason(said.why, self._sim.zone)
            return f"it was said {self._clock(said.at)}, not {self._clock(wanted)}; why: {why}"
        labels = [button.label for button in said.buttons]
        if says.buttons is not None and [*map(letters, labels)] != [*map(letters, says.buttons)]:
            return "the buttons are others"
        return None

    def _staff_told(self, step: Step, line: StaffTold) -> None:
        told = self._sim.trail.told[self._seen.told :]
        found = next((n for n, each in enumerate(told) if line.text.casefold() in _one_line(each).casefold()), None)
        shown = "staff is told: " + ("; ".join(told) or "nothing")
        if found is None:
            raise _Unlike("staff was not told this", self._expected(step), self._line(self._sim.now, shown))
        self._seen.told += found + 1
        self._rows.append(Row(self._expected(step), self._line(self._sim.now, f"staff is told: {told[found]}")))

    def _check(self, step: Step, words: str, fits: bool) -> None:  # noqa: FBT001 - what was found out
        self._nothing_more()
        shown = self._line(self._sim.now, words)
        if not fits:
            raise _Unlike(words, self._expected(step), shown)
        self._rows.append(Row(self._expected(step), shown))

    # what was not expected

    def _unread(self) -> Said | None:
        rest = self._sim.entries[self._seen.entries :]
        return next((each for each in rest if isinstance(each, Said)), None)

    def _place_of(self, said: Said) -> int:
        return next(
            n for n, each in enumerate(self._sim.entries) if isinstance(each, Said) and each.number == said.number
        )

    def _nothing_more(self) -> None:
        said = self._unread()
        if said is not None:
            self._seen.entries = self._place_of(said) + 1
            raise _Unlike("the bot said something that was not expected", "", self._said_words(said))

    def _fail(self, error: FollowUpError, step: Step) -> None:
        """Show what was expected, what came, and what would have come next."""
        if not isinstance(error, _Unlike) or (not error.expected and not error.actual):
            error = _Unlike(str(error), self._expected(step), str(error))
        self._rows.append(Row(error.expected, error.actual, fits=False))
        if not error.expected:
            self._rows.append(Row(self._expected(step), "", None))
        held = [each for each in self._sim.waiting_for() if "waits:" in each or "held:" in each]
        later = self._unread() or self._sim.go_to_next_said(self._sim.now + _LOOK_ON)
        if later is not None:
            why = reason(later.why, self._sim.zone)
            self._rows.append(Row("", f"(next) {self._said_words(later)} – why: {why}", None))
        else:
            self._rows += [Row("", f"(held back) {each}", None) for each in held]

    # cases

    def _fits_case(self, wanted: CaseStands) -> bool:
        case = self._sim.case
        if case is None or wanted.team == "none":
            return case is None and wanted.team == "none"
        asked = (
            (wanted.team, case.team),
            (wanted.factor, case.factor or "none"),
            (wanted.touchpoint, case.touchpoint or "none"),
            (wanted.status, case.status),
            (wanted.cycle, case.cycle),
        )
        return all(want is None or want == found for want, found in asked)

    def _case_words(self) -> str:
        case = self._sim.case
        if case is None:
            return "there is no case"
        about = ", ".join(each for each in (case.factor, case.touchpoint) if each) or "no factor"
        return f"case for team {case.team} ({about}), {case.status}, cycle {case.cycle}"

    # words

    def _moment(self, when: When | None) -> datetime | None:
        if when is None:
            return None
        return when.after(self._sim.now, self._zone, lambda at, length: after(self._sim.house, length, at))

    def _expected(self, step: Step) -> str:
        line, at = step.line, step.at.text if step.at else ""
        match line:
            case Act():
                words = self._words(line)
            case Says():
                words = "🤖 " + ("" if line.exactly else "… ") + " … ".join(_one_line(each) for each in line.texts)
                words += "" if line.exactly else " …"
                words += "".join(f" [{each}]" for each in line.buttons or ())
            case CaseStands(team="none"):
                words = "there is no case"
            case CaseStands():
                about = (("factor", line.factor), ("touchpoint", line.touchpoint), ("status", line.status))
                words = f"case for team {line.team or '…'}" + "".join(f", {k} {v}" for k, v in about if v)
                words += f", cycle {line.cycle}" if line.cycle else ""
            case StaffTold():
                words = f"staff is told: … {line.text} …"
            case SaleStands():
                words = f"the sale is {'complete' if line.complete else 'not complete'}"
            case Ends():
                words = f"the conversation ended: {line.outcome}"
            case _:
                assert_never(line)
        return f"{at:<17}  {words}" if at else f"{'':<17}  {words}"

    def _words(self, act: Act) -> str:
        more = act.more.get("note") or act.more.get("caption") or act.more.get("reason") or ""
        words: dict[str, Callable[[], str]] = {
            "event": lambda: f"🛒 {act.value}",
            "tap": lambda: f"👤 taps [{act.value}]",
            "write": lambda: f"👤 {act.value}",
            "send": lambda: f"👤 sends a {act.value}",
            "link": lambda: "👤 opens the link",
            "block": lambda: "👤 blocks the bot",
            "claim": lambda: "🧑‍🔧 takes the case",
            "reply": lambda: f"🧑‍🔧 replies: {act.value}",
            "remedy": lambda: f"🧑‍🔧 remedy: {act.value}",
            "hand_over": lambda: f"🧑‍🔧 hands over to {act.value}",
            "silence": lambda: f"… nobody says anything until {act.value}",
        }
        return words[act.kind]() + (f" – {more}" if more else "")

    def _said_words(self, said: Said) -> str:
        labels = "".join(f" [{button.label}]" for button in said.buttons)
        return self._line(said.at, f"🤖 {_one_line(said.text)}{labels}")

    def _line(self, at: datetime, words: str) -> str:
        return f"{self._clock(at):<17}  {words}"

    def _clock(self, at: datetime) -> str:
        return clock(at, self._sim.zone)


def _one_line(text: str) -> str:
    return " ".join(text.split())
