"""The report: one file that needs nothing else, from the files of a run directory."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from autonomy.types import UserError
from eval.report import write_report

CONFIG = "name: mac\nenv: {name: kitchen-mixed, state_dim: 30, action_dim: 9}\nassistant: {_target_: x.<Y>}\n"
INTERVAL = {"mean": 1.5, "low": 1.0, "high": 2.0, "n": 20}


def summary(assistant: str, operator: str, channels: str) -> dict[str, object]:
    return {
        "assistant": assistant, "operator": operator, "channels": channels, "episodes": 20, "seeds": [1000, 1019],
        "reward": INTERVAL, "length": 280.0, "tasks": {"kettle": 0.75, "microwave": 0.5}, "operator_errors": 0,
        "first_intended": None if channels == "none" else INTERVAL, "deviation": None,
        "ms": {"ms": 1.0, "ms_p50": 1.0, "ms_p99": 2.0},
    }  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def fill(run: Path) -> None:
    metrics = [{"step": s, "train_loss": 1 / s, "validation_loss": 1.1 / s} for s in (1, 2, 3)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    (run / "card.json").write_text(
        json.dumps(
            {
                "source": "scripted <b>",
                "tasks": ["kettle", "microwave"],
                "episodes": 3,
                "steps": 1500,
                "reward": 1.0,
                "lengths": {"min": 3, "median": 4.5, "max": 6},
                "completions": {"kettle": 3, "microwave": 0},
                "orders": [{"order": ["kettle", "microwave"], "episodes": 3}],
                "saturated": [0.25, 0.0],
                "content_hash": "abc",
            }
        )
    )
    summaries = [
        summary("mac", "zero", "none"),
        summary("zero", "expert", "shoulder"),
        summary("mac", "expert", "shoulder"),
        summary("mac", "expert", "random-3"),
    ]
    (run / "summary.json").write_text(json.dumps(summaries))
    (run / "rollout.mp4").write_bytes(b"a video")
    (run / "frames").mkdir()
    (run / "frames" / "000.png").write_bytes(b"\x89PNG still")


def test_everything_is_inside_the_file(run: Path) -> None:
    fill(run)
    page = write_report(run).read_text()
    for words in (
        "mac alone",
        "expert alone on shoulder",
        "mac + expert on random-3",
        "1.50 [1.00, 2.00]",
        "state_dim: 30",
    ):
        assert words in page
    for words in ("3 x kettle, then microwave", "3 to 6, median 4.5", "1,500", "dim 0: 25.0%", "1.00 of 2"):
        assert words in page
    assert "it does 1.50 [1.00, 2.00] tasks an episode alone and 1.50 [1.00, 2.00] with mac" in page
    assert "refused" not in page
    assert base64.b64encode(b"a video").decode() in page
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 4  # two figures of the evaluation, a still, the learning curve
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_improbable_commands_have_a_column_where_they_were_measured(run: Path) -> None:
    fill(run)
    assert "<th>improbable" not in write_report(run).read_text()  # as in a summary of an older version
    measured = [{**summary("mac", "expert", channels), "improbable": INTERVAL} for channels in ("base", "wrist")]
    (run / "summary.json").write_text(json.dumps([*measured, {**summary("mac", "zero", "none"), "improbable": None}]))
    page = write_report(run).read_text()
    assert "<th>improbable [95%]</th>" in page
    assert page.count("<td>-</td><td>1.50 [1.00, 2.00]</td><td>20</td>") == 2
    assert page.count("<td>-</td><td>-</td><td>20</td>") == 1
    assert "among the 5% least probable" in page


def test_a_belief_over_an_episode_has_a_section_and_columns(run: Path) -> None:
    fill(run)
    assert "What the assistant believed" not in write_report(run).read_text()
    beliefs = [[0.2, 0.8]] * 10 + [[0.6, 0.4]] * 20
    told = {"names": ["kettle <b>"], "beliefs": beliefs, "committed": [0] * 30, "truths": [0] * 30, "period": 0.08}
    names = {"assistant": "mac", "operator": "expert", "channels": "wrist", "seed": 1000, "completed": [[29, "kettle"]]}
    (run / "belief.json").write_text(json.dumps({**names, **told}))
    measured = {
        **summary("mac", "expert", "wrist"),
        "belief_right": INTERVAL,
        "steps_to_recognise": INTERVAL,
        "period": 0.08,
    }
    (run / "summary.json").write_text(json.dumps([measured]))
    page = write_report(run).read_text()
    section = page[page.index("What the assistant believed") :]
    assert "mac + expert on wrist, episode 1000" in section
    assert "more than half after 0.8 s" in section
    assert "<td>kettle &lt;b&gt;</td><td>2.4 s</td><td>0.8 s</td>" in section
    assert "<td>150%</td><td>0.1 s</td>" in page
    assert page.count("data:image/png;base64") == 5
    (run / "belief.json").write_text("{}")
    with pytest.raises(UserError, match=r"belief\.json is corrupted"):
        write_report(run)


def test_text_from_files_is_escaped(run: Path) -> None:
    fill(run)
    page = write_report(run).read_text()
    assert "<b>" not in page
    assert "&lt;Y&gt;" in page


def test_a_run_without_evaluation_card_or_video_still_has_a_report(run: Path) -> None:
    page = write_report(run).read_text()
    assert "This run was not evaluated." in page
    assert "No video" in page
    assert "No metrics were recorded." in page
    assert {file.name for file in run.iterdir()} == {"config.yaml", "report.html"}


def test_a_damaged_summary_or_a_folder_that_is_no_run_is_one_sentence(run: Path, tmp_path: Path) -> None:
    (run / "summary.json").write_text("[{")
    with pytest.raises(UserError, match=r"summary\.json is corrupted"):
        write_report(run)
    with pytest.raises(UserError, match="there is no run directory"):
        write_report(tmp_path / "nothing")
    assert not (run / "report.html").exists()


def test_refused_commands_have_a_column_and_operators_without_a_pair_no_headline(run: Path) -> None:
    shared = {**summary("mac", "expert", "random-3"), "operator_errors": 2}
    (run / "summary.json").write_text(json.dumps([shared]))
    page = write_report(run).read_text()
    assert "<th>refused</th>" in page
    assert "with mac on the other dimensions" not in page
