"""`report.html`: what a run learned and what it bought, in one file that needs nothing else.

`python -m eval.report run=DIR` writes it again from the files in the run directory.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from jinja2 import Environment, PackageLoader, StrictUndefined
from omegaconf import DictConfig, OmegaConf

from autonomy.budget import Budget
from autonomy.cli import main
from autonomy.run_directory import RunDirectory, atomic_write
from eval.coverage import untrained
from eval.episodes import EPISODES, SUMMARY, has_belief, read_episodes
from eval.figures import belief_over_time, learning_curve, reward_bars, task_bars
from eval.filling_tables import TITLES, cells, notes
from eval.probe import IMPROBABLE
from eval.recognition import lasting
from eval.trace import TRACE, read_trace
from eval.video import FRAMES, VIDEO
from eval.wording import card_rows, headline, key_settings, label, recognition_rows, row

REPORT = "report.html"


def write_report(run: Path) -> Path:
    """Write `report.html` into the run directory from the files that are in it; its path.

    It needs `config.yaml`; what else is missing (card, metrics, evaluation, video) is left out. Raises `UserError` for
    a folder that is no run directory or a damaged file.
    """
    directory = RunDirectory.open(run)
    config, metrics = directory.config(), directory.metrics()
    environment = Environment(loader=PackageLoader("eval"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("report.html.j2").render(
        title=f"{config.get('name', 'assistant')} in {config.env.get('name', 'its environment')}",
        run=directory.path.resolve().name,
        settings=_settings(directory, config),
        config=OmegaConf.to_yaml(config),
        card=_card(directory),
        curve=_image(learning_curve(metrics)) if metrics else None,
        video=_video(directory.path),
        untrained=_untrained(directory, config),
        frames=[_image(still.read_bytes()) for still in sorted((directory.path / FRAMES).glob("*.png"))],
        **_evaluation(directory),
        **_belief(directory),
        **_offline(directory),
    )
    atomic_write(directory.path / REPORT, page.encode())
    return directory.path / REPORT


def _card(directory: RunDirectory) -> list[tuple[str, str]]:
    file = directory.card_file
    if not file.is_file():
        return []
    try:
        return card_rows(directory.read_json(file))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise directory.broken(file, f"no data card ({error!r})") from error


def _settings(directory: RunDirectory, config: DictConfig) -> list[tuple[str, str]]:
    """With the budget, which interrupted runs and old ones lack."""
    file = directory.budget_file
    try:
        return key_settings(config, Budget(**directory.read_json(file)) if file.is_file() else None)
    except (TypeError, ValueError) as error:
        raise directory.broken(file, f"no budget ({error!r})") from error


def _evaluation(directory: RunDirectory) -> dict[str, Any]:
    """What summary.json says, as words and figures; empty without it."""
    file = directory.path / SUMMARY
    if not file.is_file():
        return {
            "rows": [],
            "figures": [],
            "headline": None,
            "seeds": None,
            "tasks": 0,
            "notes": False,
            "probed": None,
            "believed": False,
        }
    try:
        summaries = json.loads(file.read_text(encoding="utf-8"))
        labels = [label(summary) for summary in summaries]
        return {
            "rows": [row(summary, name) for summary, name in zip(summaries, labels, strict=True)],
            "figures": _figures(summaries, labels),
            "headline": headline(summaries),
            "seeds": summaries[0]["seeds"],
            "tasks": len(summaries[0]["tasks"]),
            "notes": any(summary["operator_errors"] for summary in summaries),
            "probed": IMPROBABLE if any(summary.get("improbable") for summary in summaries) else None,
            "believed": has_belief(summaries),
        }
    except (KeyError, TypeError, ValueError, LookupError) as error:
        raise directory.broken(file, f"no summary of evaluated episodes ({error!r})") from error


def _figures(summaries: list[dict[str, Any]], labels: list[str]) -> list[tuple[str, str]]:
    """What they show, and the pictures; of tasks where the environment has some."""
    figures = [("mean reward of each setting", _image(reward_bars(summaries, labels)))]
    if summaries[0]["tasks"]:
        figures.append(("share of the episodes that did each task", _image(task_bars(summaries, labels))))
    return figures


def _belief(directory: RunDirectory) -> dict[str, Any]:
    """What belief.json says of one episode, as a picture and rows of text; nothing without it."""
    file = directory.path / TRACE
    if not file.is_file():
        return {"belief": None}
    trace = read_trace(file)
    median = trace.course.steps_to_recognise
    return {
        "belief": {
            "who": label(vars(trace)),
            "seed": trace.seed,
            "picture": _image(belief_over_time(trace.course)),
            "rows": recognition_rows(trace.course),
            "median": None if median is None else lasting(median, trace.course.period),
            "right": None if trace.course.right is None else f"{trace.course.right:.0%}",
        }
    }


def _offline(directory: RunDirectory) -> dict[str, Any]:
    """What `eval.offline` found, as rows of text and a picture; nothing without it."""
    folder = directory.path / "offline"
    if not (folder / "offline.csv").is_file():
        return {"offline": None}
    try:
        episodes = pd.read_csv(folder / "offline.csv")
        found = {"titles": TITLES, "rows": cells(episodes), "notes": notes(episodes)}
        return {"offline": {**found, "picture": _image((folder / "offline.png").read_bytes())}}
    except (KeyError, ValueError, OSError) as error:
        raise directory.broken(folder / "offline.csv", f"not what eval.offline wrote ({error!r})") from error


def _untrained(directory: RunDirectory, config: DictConfig) -> list[str]:
    """Warnings of evaluated episodes in which the assistant was asked about what training never visits."""
    file = directory.path / EPISODES
    if not file.is_file():
        return []
    try:
        assistant = instantiate(config.assistant)
    except InstantiationException as error:
        raise directory.broken(directory.config_file, error.__cause__ or error) from error
    return untrained(assistant, (record for record in read_episodes(file) if record.assistant == config.get("name")))


def _image(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _video(folder: Path) -> str | None:
    path = folder / VIDEO
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.is_file() else None


@main("report")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/report.yaml."""
    print(f"report: {write_report(Path(cfg.run))}")


if __name__ == "__main__":
    run()
