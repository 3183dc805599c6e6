"""Playing by hand: beginning anywhere, moving time in people's words, and keeping what was played."""

import pytest

from bot.adapters.flow_files import FlowFiles
from bot.adapters.shop_file import default_shop
from bot.errors import InputRefused
from bot.trials.by_hand import as_test, begin, entering, go, usual
from bot.trials.parse import Known, read_trials
from bot.trials.simulation import Simulation
from bot.trials.trail import Said
from bot.trials.trial import run_trial
from storage.scratch import ScratchDatabase
from tests.system.stage import shipped_flows


class Source:
    """Shipped flows, one of them changed."""

    def __init__(self, files: FlowFiles, **changed: object) -> None:
        self.flows = {**files.flows, **changed}
        self.phrases = files.phrases


def said(simulation: Simulation) -> list[str]:
    return [each.text for each in simulation.entries if isinstance(each, Said)]


@pytest.mark.parametrize("name", ["after_delivery", "after_first_use", "after_remedy", "on_the_way"])
def test_every_step_that_speaks_can_be_played_from(name: str) -> None:
    """Whatever a flow waits for at its beginning, from a step on it speaks at once, and in the step's own words."""
    files, shop, database = shipped_flows(), default_shop(), ScratchDatabase()
    flow = files.flows[name]
    speaking = [step for step in flow.steps.values() if getattr(step, "texts", None) and "." not in step.name]
    for step in speaking:
        entered = entering(flow, step.name)
        played = Simulation(
            shop, Source(files, **{name: entered}), usual(shop, "en"), taking_part=[name], database=database
        )  # type: ignore[arg-type]
        begin(entered, played)
        played.go_to_next_said(played.now)
        assert said(played), step.name
    database.close()


def test_time_is_moved_in_the_words_of_people() -> None:
    """A length of time, a day and an hour; anything else is refused with how to write it."""
    files, shop, database = shipped_flows(), default_shop(), ScratchDatabase()
    played = Simulation(shop, files, usual(shop, "da"), taking_part=["after_delivery"], database=database)
    begin(files.flows["after_delivery"], played)
    go(played, "+1d")
    assert said(played) == []
    go(played, "tomorrow 12:00")
    assert "Var alt, som vi lovede?" in said(played)[0]
    with pytest.raises(InputRefused, match="is not a moment"):
        go(played, "soon")
    database.close()


def test_what_was_played_is_a_test_that_passes() -> None:
    """It stands behind the tests that are there, under a name of its own."""
    files, shop, database = shipped_flows(), default_shop(), ScratchDatabase()
    flow = files.flows["after_delivery"]
    played = Simulation(shop, files, usual(shop, "en"), taking_part=[flow.name], database=database)
    begin(flow, played)
    go(played, "+2d")
    played.taps("👍 Yes")
    first = as_test("", "x.tests.yaml", flow, played, shop, files)
    second = as_test(first.text, "x.tests.yaml", flow, played, shop, files)
    assert (first.name, second.name, second.error) == ("played_1", "played_2", None)
    trials, errors = read_trials(second.text, "x.tests.yaml", Known(shop, files.flows, files.phrases))
    assert errors == []
    assert [run_trial(each, shop, files, database).problem for each in trials] == [None, None]
    assert as_test("tests: [", "x.tests.yaml", flow, played, shop, files).error is not None
    database.close()
