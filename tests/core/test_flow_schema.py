"""The JSON Schema and the reference: both are what the reader really takes, and every example in them is one."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
from ruamel.yaml import YAML

from bot.flows.check import check_flow
from bot.flows.forms import FORMS, STEPS
from bot.flows.model import Ask, Step
from bot.flows.parse import parse_flow, read_flow
from bot.flows.schema import flow_schema
from tests.core.test_check_faults import FAULTS, SHIPPED, planted

ROOT = Path(__file__).parents[2]
VALIDATE = fastjsonschema.compile(flow_schema())

STRUCTURAL = (
    "unknown key",
    "unknown kind",
    "unknown event",
    "unknown purpose",
    "more than two reminders",
    "picture that is none",
    "hours that are none",
    "variant for nothing",
)
"""Faults of form, which an editor can mark while one types; the others need the whole flow, or the shop."""

AROUND = """\
flow: example
purpose: result
start: { on: order.delivered, after: 2d }
steps:
"""
STEPS_AROUND = {
    "thanks": '{ say: { en: "Thank you!", da: "Tak!" } }',
    "sorry": '{ say: { en: "I am sorry.", da: "Det er jeg ked af." } }',
    "care": '{ say: { en: "Keep it lying down.", da: "Opbevar den liggende." } }',
    "quiet": "{ end: silent }",
    "arrived": '{ ask: { en: "Here?", da: "Her?" }, choices: { yes: 👍 }, silence: { after: 7d, next: quiet }, next: thanks }',
}


def loaded(text: str) -> Any:
    """Read YAML as editors do."""
    return YAML(typ="safe", pure=True).load(text)


def flow_around(steps: str) -> str:
    """Put steps into a flow in which everything that they lead to is there."""
    body = "".join(f"  {line}\n" if line else "\n" for line in steps.splitlines())
    written = re.findall(r"^(\w+):", steps, re.MULTILINE)
    rest = "".join(f"  {name}: {step}\n" for name, step in STEPS_AROUND.items() if name not in written)
    return AROUND + body + rest


def document_examples(page: str) -> list[str]:
    """Give the YAML of a page, each as a whole flow."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / page).read_text("utf-8"), re.DOTALL)
    whole = []
    for block in blocks:
        if "\nsteps:" in block:
            whole.append(block)
        elif block.startswith("say:"):
            whole.append(flow_around(f"spoken:\n  {block}"))
        else:
            whole.append(flow_around(block))
    return whole


EXAMPLES = [*document_examples("reference/flows.md"), *document_examples("howto/flows.md")]


@pytest.mark.parametrize("flow", sorted(SHIPPED))
def test_every_shipped_flow_fits_the_schema(flow: str) -> None:
    """What is shipped is never marked by an editor."""
    VALIDATE(loaded(SHIPPED[flow]))


@pytest.mark.parametrize("name", STRUCTURAL)
def test_faults_of_form_do_not_fit_the_schema(name: str) -> None:
    """An editor marks what the reader would refuse for its form."""
    flow, changes, *_ = FAULTS[name]
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        VALIDATE(loaded(planted(flow, *changes)))


def test_the_schema_knows_every_key_that_the_reader_knows() -> None:
    """Both are made of one table, so nothing can be known to one of them alone; each has a word of explanation."""
    definitions = flow_schema()["definitions"]
    for prefix, forms in (("form", FORMS), ("step", STEPS)):
        for name, form in forms.items():
            properties = definitions[f"{prefix}_{name}"]["properties"]
            assert tuple(properties) == form.names
            assert all(each["description"] for each in properties.values())


def test_the_reference_is_what_the_table_says() -> None:
    """The page in the repository is the one that would be made now; if not, run `make docs`."""
    script = ROOT / "docs" / "reference" / "make_flows.py"
    spec = importlib.util.spec_from_file_location("make_flows", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (script.parent / "flows.md").read_text("utf-8") == module.made()


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_of_the_documentation_is_a_good_flow(number: int) -> None:
    """Whoever copies an example from the reference or the how-to has something that can be read and fits the schema."""
    text = EXAMPLES[number]
    flow = parse_flow(text, file="example.yaml")
    findings = check_flow(flow, languages=("en", "da"))
    accepted = ("no way leads to step", "leads here, and would complete", "did not say that they are happy", "'da'")
    assert [str(each) for each in findings if not any(part in each.message for part in accepted)] == []
    VALIDATE(loaded(text))


@pytest.mark.parametrize("kind", STEPS)
def test_the_example_of_every_kind_of_step_is_one(kind: str) -> None:
    """The example of each kind is read as a step of that kind, with every one of its keys known."""
    name = STEPS[kind].example.partition(":")[0]
    flow = parse_flow(flow_around(STEPS[kind].example), file="example.yaml")
    step: Step = flow.steps[name]
    wanted = {"say": "Say", "ask": "Ask", "rate": "Ask", "case": "OpenCaseStep", "go_to": "GoTo"}
    assert type(step).__name__ == wanted.get(kind, kind.capitalize())
    assert (isinstance(step, Ask) and step.scale is not None) == (kind == "rate")


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.example])
def test_the_example_of_every_form_fits(name: str) -> None:
    """The example of each mapping fits its own part of the schema."""
    schema = {**flow_schema(), "allOf": [{"$ref": f"#/definitions/form_{name}"}]}
    fastjsonschema.validate(schema, loaded(FORMS[name].example))


def test_a_flow_that_fits_but_is_not_one_is_refused_by_the_reader() -> None:
    """The schema knows the form alone: a step that is not there is for the reader to find."""
    text = flow_around("begin: { go_to: nowhere }\n")
    VALIDATE(loaded(text))
    assert read_flow(text, "f")[0] is None
