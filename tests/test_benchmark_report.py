"""The benchmark's report: words and numbers on tables whose answers are known, and a page that needs nothing else."""

from __future__ import annotations

import html.parser
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from autonomy.types import UserError
from eval.benchmark import figures
from eval.benchmark.about import About
from eval.benchmark.contrasts import BETTER, UNDECIDED, WORSE, contrasts
from eval.benchmark.gallery import Exhibit
from eval.benchmark.report import write_report
from eval.benchmark.summary import cells_of, judged_rows, tidy
from eval.stats import clustered_interval, compare, holm, interquartile_mean, probability_of_improvement
from tests.benchmark_tables import ABOUT, TASKS, episodes, matrix


def page_of(folder: Path, frame: pd.DataFrame, about: About = ABOUT, **others: Any) -> str:
    return write_report(folder, frame, about, **others).read_text()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with all its sections."""
    folder = tmp_path_factory.mktemp("report")
    curve = [
        episodes(f"noisy-{s:g}", name, mean - 2 * s, curve="noisy", strength=s)
        for s in (0.0, 0.5, 1.0)
        for name, mean in (("mac", 3.0), ("weak", 2.0))
    ]
    frame = pd.concat([matrix(), *curve], ignore_index=True)
    frame.loc[frame["assistant"] == "mac", "improbable"] = 0.0625
    about = dict(vars(ABOUT), calibration={"shoulder": np.linspace(0, 1, 500), "wrist": np.linspace(0, 1, 500) ** 2})
    write_report(folder, frame, About(**about), [Exhibit("mac failed <here>", b"\x89PNG"), Exhibit("and there", None)])
    frame.to_pickle(folder / "frame.pkl")
    return folder


def verdicts(frame: pd.DataFrame) -> Mapping[tuple[str, str], str]:
    tidied = tidy(frame, TASKS)
    names = list(dict.fromkeys(tidied["assistant"]))
    found = contrasts(cells_of(tidied), judged_rows(tidied), names[0], names[1:])
    return {(contrast.rows[0], contrast.other): contrast.verdict for contrast in found}


def test_the_verdict_goes_in_both_directions() -> None:
    known = verdicts(matrix())
    assert known["plain", "weak"] == known["turned", "strong"] == known["plain", "nobody"] == BETTER
    assert known["plain", "strong"] == known["turned", "weak"] == WORSE
    assert known["plain", "twin"] == known["turned", "twin"] == UNDECIDED


def test_the_headline_says_who_is_best_and_whom_the_first_one_beats(written: Path) -> None:
    page = (written / "report.html").read_text().replace("\N{NO-BREAK SPACE}", " ")
    lead = re.search(r'<p class="lead">(.*?)</p>', page, re.DOTALL)
    assert lead is not None
    assert "Over the 2 settings in which the operator carries intent" in lead[1]
    assert "Of the 8 comparisons in single settings 4 come out better, 2 worse and 2 not distinguishable." in lead[1]
    assert re.search(r"twin has the highest mean reward, (\S+) .*; mac has (\S+) ", lead[1])
    assert "mac minus twin, the best of the others, is -0.0" in lead[1]
    assert "mac is significantly better than the operator alone; not distinguishable from weak, twin" in lead[1]
    assert re.search(r"Against weak: .*; better in plain; worse in turned\.", page)
    assert re.search(r"Against twin: .*; not distinguishable in any single one\.", page)


@pytest.mark.parametrize(("mean", "word"), [(3.5, "worse"), (0.5, "better")])
def test_one_setting_and_one_peer(tmp_path: Path, mean: float, word: str) -> None:
    page = page_of(tmp_path, pd.concat([episodes("plain", "mac", 2.0), episodes("plain", "bc", mean)]))
    assert f"mac is significantly {word} than bc." in page
    best = "bc" if mean > 2 else "mac"
    assert f"In plain, the one setting in which the operator carries intent, {best} has the highest mean reward" in page


def test_rows_without_intent_are_not_said_to_carry_it(tmp_path: Path) -> None:
    frame = pd.concat([episodes("zero-none", name, 2.0, first_intended=None) for name in ("mac", "bc")])
    page = page_of(tmp_path, frame)
    assert "In zero-none, the one setting," in page
    assert "carries intent" not in page
    assert "first intended" not in page


def test_the_numbers_are_those_of_the_statistics(written: Path) -> None:
    frame = pd.read_pickle(written / "frame.pkl")
    tables = {
        name: frame[(frame["row"] == "plain") & (frame["assistant"] == name)]["reward"].to_numpy().reshape(5, 30)
        for name in ("mac", "weak")
    }
    cells = pd.read_csv(written / "figures" / "matrix.csv").set_index(["row", "assistant"])
    cell, mean, iqm = cells.loc["plain", "mac"], clustered_interval(tables["mac"]), interquartile_mean(tables["mac"])
    assert (cell["n"], cell["training_seeds"], cell["episodes"]) == (150, 5, 30)
    assert cell[["reward", "reward_low", "reward_high"]].tolist() == pytest.approx([mean.mean, mean.low, mean.high])
    assert cell[["iqm", "iqm_low", "iqm_high"]].tolist() == pytest.approx([iqm.mean, iqm.low, iqm.high])
    assert cell["done: kettle"] == pytest.approx((tables["mac"] >= 2).mean())
    assert cell["success"] == pytest.approx((tables["mac"] == 4).mean())
    assert cell["improbable"] == pytest.approx(0.0625)
    assert cells.loc["plain", "nobody"]["training_seeds"] == 0
    lines = pd.read_csv(written / "figures" / "differences.csv")
    line, pair = lines.set_index(["row", "other"]).loc["plain", "weak"], (tables["mac"], tables["weak"])
    known, improvement = compare(*pair), probability_of_improvement(*pair)
    assert line[["difference", "p_episodes", "p_seeds"]].tolist() == pytest.approx(
        [known.difference.mean, known.p, known.p_seeds]
    )
    assert line[["improvement", "improvement_low"]].tolist() == pytest.approx([improvement.mean, improvement.low])
    assert lines["p_holm"].tolist() == pytest.approx(holm(lines["p_seeds"].tolist()))
    for page in ((written / "report.html").read_text(), (written / "report.md").read_text()):
        text = re.sub(r"</?small>", "", page)
        for number in (mean, iqm):
            assert f"{number.mean:.2f} [{number.low:.2f}, {number.high:.2f}]" in text
        assert f"{known.difference.mean:+.2f} [{known.difference.low:+.2f}, {known.difference.high:+.2f}]" in text
        assert "5 \N{MULTIPLICATION SIGN} 30" in text


def test_every_figure_is_drawn_from_the_table_beside_it(written: Path) -> None:
    folder = written / "figures"
    tables = {file.stem: pd.read_csv(file) for file in folder.glob("*.csv")}
    names = ["mac", "weak", "twin", "strong", "nobody"]
    drawn = {
        "reward": figures.heat_map(tables["reward"], ABOUT.scale),
        "differences": figures.forest(tables["differences"], "mac"),
        "curves": figures.curves(tables["curves"], names, ABOUT.scale),
        "calibration": figures.calibration(tables["calibration"]),
    }
    assert {name: (folder / f"{name}.png").read_bytes() for name in drawn} == drawn
    assert set(tables) == {*drawn, "matrix", "paper"}
    assert set(tables["reward"]["row"]) == {"plain", "turned"}
    assert tables["paper"]["published"].notna().sum() == len(ABOUT.published)
    assert tables["paper"][["reward", "published"]].notna().sum(axis=1).eq(1).all()


class Page(html.parser.HTMLParser):
    """Every tag is closed by its own, and what it refers to is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(written: Path) -> None:
    text, page = (written / "report.html").read_text(), Page()
    page.feed(text)
    assert page.open == []
    beside = [link for link in page.links if not link.startswith("data:image/png;base64,")]
    assert all((written / link).is_file() for link in beside)
    assert {Path(link).suffix for link in beside} == {".csv"}
    assert "http" not in text
    assert "mac failed &lt;here&gt;" in text
    assert "<b>4</b> assistants" in text  # the operator alone is none
    for fact in ("36779e05b426", "44,693", "1,234,567", "1000 to 1029 (30)", "torch 2.13.0", ABOUT.command):
        assert fact in text
    linked = re.findall(r"\]\((.*?)\)", (written / "report.md").read_text())
    assert linked
    assert all((written / link).is_file() for link in linked)


def test_the_published_rows_are_labelled_and_apart(written: Path) -> None:
    page = (written / "report.html").read_text()
    section = page[page.index("Published, on another simulator") :]
    assert "not comparable" in section
    for entry in ABOUT.published:
        assert page.count(entry["value"]) == section.count(entry["value"]) == 1


@pytest.mark.parametrize(("seeds", "said"), [(1, "1 training seed"), (2, "2 training seeds"), (3, None)])
def test_too_few_training_seeds_are_said(tmp_path: Path, seeds: int, said: str | None) -> None:
    frame = pd.concat([episodes("plain", "mac", 3.0, seeds), episodes("plain", "bc", 1.0, seeds)])
    page = page_of(tmp_path, frame)
    assert ('class="few"' in page) == bool(said)
    assert ("Caution: some of it rests on" in page) == bool(said)
    if said:
        assert page.count(f'<span class="few">{said}</span>') == 2 + 2 + 1 + 2  # two tables, differences, paper
        assert f"({said})" in (tmp_path / "report.md").read_text()


def test_what_there_is_no_data_for_is_left_out(tmp_path: Path) -> None:
    needed = ["row", "channels", "assistant", "training_seed", "seed", "reward"]
    about = About(**dict(vars(ABOUT), published=(), budgets={}))
    page = page_of(tmp_path, episodes("plain", "mac", 2.0)[needed], about)
    for heading in ("against each peer", "Reward over strength", "calibrated", "failed worst", "Budgets", "Published"):
        assert heading not in page
    for column in ("deviation", "improbable", "ms p50", "first intended", "microwave"):
        assert f"<th>{column}</th>" not in page
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {
        *("matrix.csv", "paper.csv", "reward.csv", "reward.png")
    }


def test_curves_over_trainings_have_a_panel_a_channels(tmp_path: Path) -> None:
    parts = [
        episodes(f"expert-{where}-{n}", name, mean, seeds, curve="demonstrations", strength=float(n), channels=where)
        for where in ("wrist", "random-3")
        for n, mean, seeds in ((50, 1.0, 4), (150, 2.0, 4), (1350, 3.0, 1))
        for name in ("mac", "bc")
    ]
    rows = tuple(f"expert-{where}-{n}" for where in ("wrist", "random-3") for n in (50, 150))
    page = page_of(tmp_path, pd.concat(parts), About(**dict(vars(ABOUT), grows="demonstrations", rows=rows)))
    assert "<h2>Reward over demonstrations</h2>" in page
    assert "Over the 4 settings" in page
    assert "Caution" not in page
    assert "## Reward over demonstrations" in (tmp_path / "report.md").read_text()
    points = pd.read_csv(tmp_path / "figures" / "curves.csv")
    assert set(points["panel"]) == {"demonstrations on wrist", "demonstrations on random-3"}
    assert points.groupby(["panel", "assistant"])["strength"].apply(list).tolist() == [[50, 150, 1350]] * 4


def test_the_scale_is_logarithmic_where_it_goes_far() -> None:
    axes = Figure().add_subplot()
    figures._scale(axes, [50, 150, 450])
    assert axes.get_xscale() == "log"
    figures._scale(plain := Figure().add_subplot(), [0, 0.5, 8])
    assert plain.get_xscale() == "linear"


def test_an_earlier_reports_figures_go(tmp_path: Path) -> None:
    both = pd.concat([episodes("plain", "mac", 2.0), episodes("plain", "bc", 1.0)])
    page_of(tmp_path, both)
    assert (tmp_path / "figures" / "differences.png").is_file()
    page_of(tmp_path, episodes("plain", "mac", 2.0))
    assert not (tmp_path / "figures" / "differences.png").exists()


def test_odd_names_are_text(tmp_path: Path) -> None:
    odd, row = "<b>m|c</b> $x_", "r&w*"
    frame = pd.concat([episodes(row, odd, 2.0), episodes(row, "<i>", 1.0)])
    page = page_of(tmp_path, frame, About(**dict(vars(ABOUT), budgets={odd: {"steps": 1}}, machine="<script>")))
    assert not re.findall(r"<(?:b>m|i>|script)", page)
    assert "&lt;b&gt;m|c&lt;/b&gt; $x_" in page
    lines = (tmp_path / "report.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|") and "m\\|c" in line]
    assert table
    assert all("<b>" not in line.replace("\\<", "") for line in lines)
    header = next(line for line in lines if line.startswith("| setting | assistant"))
    assert len(re.findall(r"(?<!\\)\|", table[0])) == header.count("|")


def test_a_table_that_cannot_be_reported_is_one_sentence(tmp_path: Path) -> None:
    frame = episodes("plain", "mac", 2.0)
    with pytest.raises(UserError, match=r"missing: \['reward'\]"):
        write_report(tmp_path, frame.drop(columns="reward"), ABOUT)
    with pytest.raises(UserError, match="episode 1000 of mac in plain is twice"):
        write_report(tmp_path, pd.concat([frame, frame]), ABOUT)
    with pytest.raises(UserError, match="no row is called 'other'"):
        write_report(tmp_path, frame, About(**dict(vars(ABOUT), rows=("other",))))
