"""What an assistant believed in one episode, kept beside a run's evaluation for its report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from autonomy.run_directory import atomic_write
from autonomy.types import UserError
from envs.world import World
from eval.play import play
from eval.recognition import Course
from eval.setting import Setting

TRACE = "belief.json"


@dataclasses.dataclass(frozen=True)
class Trace:
    """The `course` of the belief in the episode `seed`, and the names of who played it."""

    assistant: str
    operator: str
    channels: str
    seed: int
    course: Course


def write_trace(setting: Setting, seed: int, folder: Path) -> Path | None:
    """Play the episode `seed`, as the video does, and write `belief.json` into `folder`; its path.

    None, and no file, where the assistant has no belief.
    """
    infos: list[dict[str, Any]] = []

    def watch(world: World, info: dict[str, Any]) -> None:
        infos.append(info)

    play(setting, [seed], 1, watch)
    course = Course.of(infos)
    if course is None:
        return None
    names = dict(zip(("assistant", "operator", "channels"), setting.labels(), strict=True))
    atomic_write(folder / TRACE, json.dumps({**names, "seed": seed, **course.as_dict()}).encode())
    return folder / TRACE


def read_trace(path: Path) -> Trace:
    """What `write_trace` wrote. Raises `UserError` for a missing or damaged file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        assistant, operator, channels = (str(values[key]) for key in ("assistant", "operator", "channels"))
        return Trace(assistant, operator, channels, int(values["seed"]), Course.from_dict(values))
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise UserError(f"{path} is corrupted or of another program: no belief over an episode ({error!r})") from error
