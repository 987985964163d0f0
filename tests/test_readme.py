"""READMEs: every block is run in order, section by section, at a small size; a command that is not known here fails."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from envs.rendering import rendering_problem
from eval.cockpit.browser import browsers

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(TEXT))
DENSITY = ROOT / "autonomy" / "density" / "README.md"
COCKPIT = ROOT / "eval" / "cockpit" / "README.md"
GUIDES = {
    f"{guide.parent.name}: {title}": text
    for guide in (DENSITY, COCKPIT)
    for title, text in SECTION.findall(guide.read_text(encoding="utf-8"))
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

NETWORK = ["model.width=16", "model.depth=2", "model.components=3"]
TRAINING = ["training.steps=4", "training.epochs=null", "training.validate_every=2", *NETWORK]
EPISODE = ["env=kitchen-mixed", "env.max_episode_steps=6"]
TRAINED = ",".join(f"'{override}'" for override in [*TRAINING, "env.max_episode_steps=6"])
ALWAYS = {
    "autonomy.data": [],
    "autonomy.train": ["evaluation.episodes=0", "threads=1"],
    "envs.kitchen.expert": ["--episodes=1", "--order-episodes=1", "--processes=1"],
    "eval.benchmark": [
        "training_seeds=[0]",
        "assistants=[bc]",
        "partner_seed=null",
        "episodes=1",
        "processes=1",
        "store=s",
    ],
    "eval.cockpit": ["seconds=1", "port=0"],
    "eval.cockpit.film": ["clip=1"],
    "eval.density": [
        *("training.steps=2", "training.validate_every=2", "width=8", "depth=2", "components=2", "seeds=[0]"),
        *("models=[mac,any-order]", "capacity.widths=[8]", "scoring.orders=2", "scoring.query_rows=1", "processes=1"),
    ],
    "eval.belief": ["held=[shoulder]"],
    "eval.intent": ["held=[shoulder,random-3]", "rows=4", "draws=3"],
    "eval.offline": ["episodes=1"],
    "eval.precision": ["held=[base]", "rows=4", "episodes=1", "processes=1"],
    "eval.report": [],
    "eval.rollout": [*EPISODE, "episodes=2", "batch=2", "processes=1"],
    "eval.sb3": [
        "algorithm.steps=40",
        "algorithm.environments=2",
        "evaluation.episodes=2",
        "algorithm.agent.batch_size=64",
    ],
    "eval.speed": ["rows=[masks]", "batch=8", "repeats=1"],
    "eval.strip": [*EPISODE, "frames=2"],
}
"""For each module that the README may run: what makes it small."""
CELL = ["cells=[['operator=zero','channels=none']]", "references=[]"]


def small(module: str, arguments: list[str], data_id: str) -> list[str]:
    """`arguments` with the overrides that make the program small; the last one of a key counts."""
    more = [*ALWAYS[module]]
    given = {argument.partition("=")[0] for argument in arguments}
    if module == "autonomy.train" and "resume" not in given:
        more += TRAINING
        more += [] if "run" in given else [f"run=runs/{uuid.uuid4()}"]  # its own default tells seconds apart
    if module in ("autonomy.train", "autonomy.data") and (
        "data=scripted" in arguments or not {"data", "resume"} & given
    ):
        more += ["data.n_episodes=8"]
    if module == "eval.rollout" and "run=runs/cheetah" in arguments:
        more = ["episodes=2", "processes=1", "env=gym", "env.world.id=HalfCheetah-v5", "env.world.max_episode_steps=6"]
    if "data=minari" in arguments:
        more += [f"data.id={data_id}"]  # there already: nothing is downloaded
    if module == "eval.benchmark" and "experiment=intent" in arguments:
        more += [*CELL, f"train=['data.n_episodes=8',{TRAINED}]"]
    if module == "eval.benchmark" and "experiment=paper-table" in arguments:
        more += [*CELL, f"train=['data=d4rl','data.path=${{data.path}}',{TRAINED}]"]
    if module == "eval.density" and not {"data=kitchen"} & set(arguments):
        more += ["data.rows=100", "data.test_rows=20", "data.dim=3"]
    return [*arguments, *more]


class Reader:
    """Does what the README says, in a folder that holds the run directory DIR and the data files."""

    def __init__(self, folder: Path, data_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.data_id, self.monkeypatch = folder, data_id, monkeypatch

    def read(self, section: str) -> None:
        for language, content in FENCE.findall(section):
            if language == "bash":
                for line in content.replace("\\\n", " ").splitlines():
                    self.command(shlex.split(line, comments=True))
            elif language in ("python", "yaml"):
                self.file_or_code(language, content)
            else:
                assert language == "text", f"a block of an unknown language {language!r}"

    def file_or_code(self, language: str, content: str) -> None:
        """A block whose first line is a comment with a path is a file; other Python is executed."""
        named = re.match(rf"# (\S+\.{language[:2]}\w*)\n", content)
        if named:
            path = self.folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        else:
            assert language == "python", "a block of YAML needs the path of its file in its first line"
            exec(compile(content, "README.md", "exec"), {"__name__": "readme"})

    def command(self, words: list[str]) -> None:
        if words[:1] == ["make"]:
            self.make(words[1:])
        elif words:
            assert words[:2] == ["python", "-m"], f"unknown command: {shlex.join(words)}"
            self.program(words[2], words[3:])

    def make(self, words: list[str]) -> None:
        """Run the programs that make would run, but neither pip nor pytest, which runs this."""
        done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        programs = re.findall(r"/python -m (\S+)(.*)$", done.stdout, re.MULTILINE)
        assert programs, f"make {shlex.join(words)} runs nothing"
        for module, arguments in programs:
            if module not in ("pip", "pytest", "venv"):
                self.program(module, shlex.split(arguments))

    def program(self, module: str, arguments: list[str]) -> None:
        """In this process: a second of imports each would add up."""
        assert module in ALWAYS, f"unknown program: python -m {module}"
        if (module == "eval.strip" and rendering_problem()) or (module == "eval.cockpit.film" and not browsers()):
            return
        if module == "envs.kitchen.expert":
            self.expert(arguments)
            return
        arguments = small(module, arguments, self.data_id)
        if (self.folder / "configs").is_dir():
            arguments += ["--config-dir", str(self.folder / "configs")]
        self.monkeypatch.setattr(sys, "argv", [module, *arguments])
        package = importlib.util.find_spec(module)
        assert package is not None
        importlib.import_module(f"{module}.__main__" if package.submodule_search_locations else module).run()

    def expert(self, arguments: list[str]) -> None:
        """Two trials of its table: 31 of them, the least that it takes itself, are half a minute."""
        from envs.kitchen.expert import __main__, measure

        plan = measure.plan
        self.monkeypatch.setattr(measure, "plan", lambda *options: plan(*options)[:2])
        assert __main__.main(small("envs.kitchen.expert", arguments, self.data_id)) == 0


@pytest.fixture
def reader(
    smoke: tuple[Path, Path], d4rl_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reader]:
    run, store = smoke
    shutil.copytree(run, tmp_path / "DIR")
    for name in ("FILE.hdf5", "MORE.hdf5"):
        shutil.copy(d4rl_file, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(store))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    data = next(store.glob("autonomy/*/*/data"))
    yield Reader(tmp_path, "/".join(data.parts[-4:-1]), monkeypatch)
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)


@pytest.mark.parametrize("section", [title for title, text in {**SECTIONS, **GUIDES}.items() if "```" in text])
def test_what_it_says_works(section: str, reader: Reader) -> None:
    reader.read({**SECTIONS, **GUIDES}[section])


def test_every_block_is_in_a_section_and_has_a_language() -> None:
    blocks = [block for text in SECTIONS.values() for block in FENCE.findall(text)]
    assert len(blocks) == TEXT.count("```") // 2 > 5
    assert TEXT.count("```") % 2 == 0


@pytest.mark.parametrize("line", ["ls", "python -m eval.play", "python setup.py", "make nothing", "make clean"])
def test_unknown_commands_are_refused(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        Reader(tmp_path, "", monkeypatch).read(f"```bash\n{line}\n```\n")


def test_it_shows_the_picture_and_names_only_files_that_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert pictures == [
        f"eval/results/{name}" for name in ("shared_control.png", "door.png", "cockpit.webp", "cockpit.png")
    ]
    sizes = [(ROOT / picture).stat().st_size for picture in pictures]
    assert min(sizes) > 20_000
    assert sum(sizes) <= 1_000_000
    assert len(TEXT.splitlines()) - len(SECTIONS["Results"].splitlines()) <= 200


@pytest.mark.parametrize(("guide", "least"), [(DENSITY, 4), (COCKPIT, 1)])
def test_links_of_the_guides_are_there(guide: Path, least: int) -> None:
    links = re.findall(r"\]\(((?!https?:)[^)]+)\)", guide.read_text(encoding="utf-8"))
    assert len(links) >= least
    assert [link for link in links if not (guide.parent / link).exists()] == []


def test_the_run_directory_holds_what_the_table_says(smoke: tuple[Path, Path]) -> None:
    named = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`.*?) \|", SECTIONS["A run directory"], re.MULTILINE)))
    there = {entry.name for entry in smoke[0].iterdir() if not entry.name.startswith(".")}
    filmed = set() if rendering_problem() is None else {"rollout.mp4", "frames"}
    assert there == {name.rstrip("/") for name in named} - {"rollouts", "intent", "belief", "offline"} - filmed
