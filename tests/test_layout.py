"""The house stays in order: top-level names, file sizes, one direction of imports, a Makefile that works."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parents[1]
TOP = {
    *("CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "README.md", "constraints.txt", "pyproject.toml"),
    *(".ci", ".gitignore", "autonomy", "configs", "envs", "eval", "tests"),
}
PACKAGES = ("autonomy", "envs", "eval")
SOURCES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
KNOW_A_KITCHEN = {
    "envs/__init__.py",  # registers its ids
    "autonomy/legacy.py",  # where its modules were
    "autonomy/data/minari.py",  # D4RL/kitchen/mixed-v2, an example of an id
    "eval/density/__main__.py",  # data=kitchen, an example of a command
    "eval/cockpit/stage.py",  # which corners there are
    "eval/speed/__main__.py",  # which rows there are
    *(f"eval/speed/{row}.py" for row in ("kitchens", "recording", "programs", "cockpit")),
}
"""Files outside envs/kitchen and eval/cockpit/kitchen that may name it."""
LINES = 300
FUNCTION_LINES = 40


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is not a git checkout")
    return done.stdout.splitlines()


def test_top_level_names_are_fixed() -> None:
    assert {name.partition("/")[0] for name in tracked()} <= TOP


def test_nothing_large_is_tracked() -> None:
    assert [name for name in tracked() if (ROOT / name).is_file() and (ROOT / name).stat().st_size > 1_500_000] == []


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_and_functions_are_short(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= LINES
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, functions)]
    assert [node.name for node in nodes if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES] == []


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_modules_say_what_they_are_for(file: Path) -> None:
    text = file.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_the_kitchen_has_its_corners() -> None:
    corners = ("envs/kitchen/", "eval/cockpit/kitchen/")
    files = {str(file.relative_to(ROOT)): file.read_text() for file in SOURCES}
    named = {name for name, text in files.items() if "kitchen" in text.lower()}
    assert {name for name in named if not name.startswith(corners)} == KNOW_A_KITCHEN


def test_imports_point_one_way() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_world_imports_only_the_nouns() -> None:
    """Every module of the method but `types` is on the import contract's list."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    forbidden = next(c["forbidden_modules"] for c in contracts if c.get("source_modules") == ["envs"])
    modules = {
        path.stem for path in (ROOT / "autonomy").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert {f"autonomy.{module}" for module in modules - {"types", "__init__"}} == set(forbidden)


def test_dependencies_have_a_reason_to_be_bounded() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "mujoco>=3.6,<3.12" in project["dependencies"]
    assert "Private :: Do Not Upload" in project["classifiers"]


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("train", "-m autonomy.train env=kitchen-mixed seed=3"),
        ("test", "lint-imports"),
        ("benchmark", "-m eval.benchmark seed=3"),
        ("help", "grep"),
    ],
)
def test_make_targets(target: str, command: str) -> None:
    done = subprocess.run(["make", "-n", target, "ARGS=seed=3"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert command in done.stdout


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text()
