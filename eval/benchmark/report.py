"""`report.html` and `report.md` of a benchmark: a page that needs nothing else, made from its table alone.

The data of every figure and table is written beside it, to `figures/*.csv`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from autonomy.run_directory import atomic_write
from eval.benchmark import figures, sections
from eval.benchmark.about import About
from eval.benchmark.contrasts import Contrast, as_frame, contrasts
from eval.benchmark.gallery import Exhibit
from eval.benchmark.series import calibration_text, reliability, strengths
from eval.benchmark.summary import FEW, cells_of, judged_rows, rows_with_intent, summarised, tidy
from eval.benchmark.verdict import NOBODY, verdict
from eval.episodes import PERSON
from eval.scores import axis, title
from eval.stats import caveat

HTML, MARKDOWN, FIGURES = "report.html", "report.md", "figures"
Drawn = dict[str, tuple[pd.DataFrame, bytes | None]]
"""Name of a table: the table, and its figure if it has one."""


def write_report(folder: Path, frame: pd.DataFrame, about: About, gallery: Sequence[Exhibit] = ()) -> Path:
    """Write `report.html`, `report.md` and `figures/` into `folder`; the path of the first.

    `frame` has a row an episode with at least the columns of `summary.NEEDED`; what other columns, `about` and
    `gallery` do not give is left out of the report. The first assistant in it is the one that is compared with the
    others. Raises `UserError` for a table without those columns or with an episode that is there twice.
    """
    tidied = tidy(frame, about.tasks)
    cells, assistants = cells_of(tidied), list(dict.fromkeys(tidied["assistant"]))
    summary, rows = summarised(cells, about.tasks, about.scale), judged_rows(tidied, about.rows)
    found = contrasts(cells, rows, assistants[0], assistants[1:])
    intent = rows_with_intent(tidied, rows)
    drawn, trained = _drawn(tidied, summary, rows, found, assistants, about), {*assistants} - {NOBODY}
    context = {
        "about": about,
        "size": {"settings": tidied["row"].nunique(), "assistants": len(trained), "episodes": len(tidied)},
        "first": assistants[0],
        "verdict": verdict(cells, intent or rows, bool(intent), assistants, found, about.scale),
        "notes": {"intent": bool(intent), "caveat": caveat(about.training_seeds), "few": FEW},
        **_tables(summary, rows, _rows_of_people(tidied), drawn, about),
    }
    _write_figures(folder / FIGURES, drawn, gallery)
    environment = _environment()
    for name, template in ((MARKDOWN, "benchmark.md.j2"), (HTML, "benchmark.html.j2")):
        page = environment.get_template(template).render(context, gallery=gallery, figures=_images(drawn, name))
        atomic_write(folder / name, page.encode())
    return folder / HTML


def _drawn(
    tidied: pd.DataFrame,
    summary: pd.DataFrame,
    rows: Sequence[str],
    found: Sequence[Contrast],
    assistants: Sequence[str],
    about: About,
) -> Drawn:
    """The tables that have something in them, with their figures."""
    judged = summary[summary["row"].isin(rows)]
    drawn: Drawn = {
        "matrix": (summary, None),
        "reward": (judged, figures.heat_map(judged, about.scale)),
        "paper": (sections.paper(judged, about), None),
    }
    if found:
        drawn["differences"] = (as_frame(found), figures.forest(as_frame(found), assistants[0]))
    points = strengths(tidied, summary)
    if len(points):
        drawn["curves"] = (points, figures.curves(points, assistants, about.scale, about.grows))
    levels = reliability(about.calibration)
    if len(levels):
        drawn["calibration"] = (levels, figures.calibration(levels))
    return drawn


def _rows_of_people(tidied: pd.DataFrame) -> list[str]:
    """Those in which a person was the operator."""
    return sorted(set(tidied["row"][tidied["operator"] == PERSON])) if "operator" in tidied else []


def _tables(
    summary: pd.DataFrame, rows: Sequence[str], people: Sequence[str], drawn: Drawn, about: About
) -> dict[str, Any]:
    """The lines of all tables, for the templates."""
    judged, driven = summary["row"].isin(rows), summary["row"].isin(people)
    ends = axis(about.scale, [*summary["reward_low"], *summary["reward_high"]])
    success, behaviour = sections.columns_of(summary, about.tasks)
    parts = {"judged": summary[judged], "people": summary[driven & ~judged], "rest": summary[~judged & ~driven]}
    return {
        "matrix": {
            part: [(columns, sections.matrix(lines, columns, ends)) for columns in (success, behaviour) if columns]
            for part, lines in parts.items()
            if len(lines)
        },
        "differences": sections.differences(drawn["differences"][0]) if "differences" in drawn else [],
        "paper": sections.paper_lines(summary[judged]),
        "calibration": calibration_text(drawn["calibration"][0]) if "calibration" in drawn else [],
        "budgets": sections.budgets(about),
        "facts": sections.facts(about),
        "ends": [f"{end:.3g}" for end in ends],
        "reward_is": f"{title(about.scale)} an episode",
    }


def _write_figures(folder: Path, drawn: Drawn, gallery: Sequence[Exhibit]) -> None:
    """Every table as CSV and every figure as PNG; those of an earlier report go."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.csv"), *folder.glob("*.png")):
        old.unlink()
    for name, (table, png) in drawn.items():
        atomic_write(folder / f"{name}.csv", table.to_csv(index=False).encode())
        if png is not None:
            atomic_write(folder / f"{name}.png", png)
    for number, exhibit in enumerate(gallery, 1):
        if exhibit.png is not None:
            atomic_write(folder / f"gallery-{number}.png", exhibit.png)


def _images(drawn: Drawn, page: str) -> dict[str, str]:
    """Where the page finds each figure: inside itself, or in the folder beside it."""
    pngs = {name: png for name, (_, png) in drawn.items() if png is not None}
    if page == MARKDOWN:
        return {name: f"{FIGURES}/{name}.png" for name in pngs}
    return {name: _data_uri(png) for name, png in pngs.items()}


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _environment() -> Environment:
    """Text is escaped in HTML; in Markdown by the filter `md`."""
    environment = Environment(
        loader=PackageLoader("eval"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": _markdown, "tied": _tied, "data_uri": _data_uri}
    return environment


def _tied(text: str) -> str:
    """No line break within `p = 0.05`."""
    return re.sub(r"p ([=<]) ", "p\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", text)


def _markdown(text: object) -> str:
    """Text that Markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_{}<>#|~])", r"\\\1", str(text)).replace("\n", " ")
