"""Rules of the house that no linter knows, and the ones that it does: imports, commits, names of hosts, documents."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.settings import Settings

ROOT = Path(__file__).parents[2]
NOT_OURS = {"build", "dist", "node_modules"}
SECTIONS = ["Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"]


def our_files(*patterns: str) -> Iterator[Path]:
    for pattern in patterns:
        for path in sorted(ROOT.rglob(pattern)):
            parts = path.relative_to(ROOT).parts
            hidden = any(part.startswith(".") and part != ".ci" for part in parts[:-1])
            if path.is_file() and not hidden and not NOT_OURS & set(parts) and ".egg-info" not in str(path):
                yield path


def our_modules(*rooms: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in our_files("*.py"):
        if path.relative_to(ROOT).parts[0] in rooms:
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def settings_in(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z][A-Z_]+)=(.*)$", text, re.MULTILINE))


def test_imports_run_one_way() -> None:
    """Every contract of pyproject.toml on who may import whom is kept."""
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(  # noqa: S603 - our own tool
        [tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_example_of_settings_names_each_of_them_with_its_default() -> None:
    """.env.example and the program know the same variables, each with a line of what it is, and the same defaults."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = settings_in(text)
    assert set(shown) == {name.upper() for name in Settings.model_fields}
    plain = Settings.of()
    for name, value in shown.items():
        default = getattr(plain, name.lower())
        assert value == ("" if default is None else str(default)), name
        assert re.search(rf"^# .+\n{name}=", text, re.MULTILINE), f"{name} has no line of what it is"


def test_reference_of_settings_knows_each_of_them() -> None:
    """docs/reference/environment.md leaves no variable out and invents none."""
    text = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([A-Z_]+)` ", text, re.MULTILINE))
    assert rows == {name.upper() for name in Settings.model_fields}


def test_only_storage_commits() -> None:
    """One event is one transaction: nobody but the unit of work of storage commits."""
    calls = [
        f"{path}:{node.lineno}"
        for path, tree in our_modules("bot", "storage")
        for node in ast.walk(tree)
        # A database's commit takes no argument, which tells it from anything else of that name.
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "commit"
        and not (node.args or node.keywords)
    ]
    assert [call for call in calls if not call.startswith("storage/")] == []


def test_no_mock_library_anywhere() -> None:
    """Tests stand on fakes and on the sandbox at the wire, never on a mock or a patched name of ours."""
    banned = {"unittest.mock", "mock", "pytest_mock"}
    found = []
    for path, tree in our_modules("bot", "storage", "tests", "bench"):
        for node in ast.walk(tree):
            names: set[str] = set()
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.arg) and node.arg == "mocker":
                names = {"mock"}
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"setattr", "setitem"}
                and not (node.args and isinstance(node.args[0], ast.Name) and node.args[0].id == "sys")
            ):
                # pytest's monkeypatch may set what the process finds (environment, folder, stdin), never a name of ours.
                names = {"mock"}
            if names & banned:
                found.append(f"{path}:{getattr(node, 'lineno', 0)}")
    assert found == []


def test_no_file_names_a_package_host() -> None:
    """The lock and everything else work with whichever package index the machine is set up for."""
    # Written in halves, so that this file does not find itself.
    halves = [
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("npm", "js."),
        ("--index", "-url"),
        ("--extra-index", "-url"),
    ]
    hosts = re.compile("|".join(re.escape("".join(pair)) for pair in halves))
    found = []
    for path in our_files("*", ".env.example", ".gitignore"):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if hosts.search(line)
        ]
    assert found == []


def test_every_pinned_library_has_a_hash() -> None:
    """The lock pins exact versions with hashes, so that every machine installs the same bytes."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text(encoding="utf-8").strip())
    assert len(entries) > 20
    assert [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_every_module_says_what_lives_there() -> None:
    """Whoever opens a file of the program learns in its first line what lives there."""
    silent = [str(path) for path, tree in our_modules("bot", "storage") if tree.body and not ast.get_docstring(tree)]
    assert [path for path in silent if "/versions/" not in path] == []


def test_every_test_says_what_it_proves() -> None:
    """A test opens with one sentence that says what is proven."""
    silent = [
        f"{path}:{node.name}"
        for path, tree in our_modules("tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_changelog_tells_this_version_in_a_fixed_order() -> None:
    """The version of the package stands in the changelog, and each version's sections keep one order."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(rf"^## \[?{re.escape(version)}\]?", text, re.MULTILINE)
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        sections = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert sections, f"{part.splitlines()[0]} tells nothing"
        assert sections == [each for each in SECTIONS if each in sections]


@pytest.mark.parametrize("document", [path.relative_to(ROOT).as_posix() for path in our_files("*.md")])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    """No page of this project sends its reader to a file that is not there."""
    path = ROOT / document
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_makefile_explains_every_command() -> None:
    """`make` lists each command with what it does; none is hidden."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert declared is not None
    explained = re.findall(r"^([a-z-]+):.*## .+$", text, re.MULTILINE)
    assert sorted(declared[1].split()) == sorted(explained)
