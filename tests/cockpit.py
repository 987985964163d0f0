"""For tests of the cockpit: a clock and a device that are set by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from autonomy.run_directory import RunDirectory
from autonomy.training_state import snapshot, write_tensors
from envs.kitchen.tasks import TASKS as ALL_TASKS
from envs.kitchen.world import KitchenVecEnv, make_kitchens
from eval.cockpit.devices import Command, DeadMan
from eval.cockpit.kitchen.corner import KitchenCorner
from eval.cockpit.person import Person
from eval.cockpit.record import Recorder
from eval.cockpit.session import Session
from eval.cockpit.steering import Joints
from eval.settings import compose_config

DIM = 9
TASKS = ("microwave", "kettle", "bottom burner", "light switch")
SECONDS = 120.0
"""That a browser without a graphics card, or a loop on a busy machine, may take."""


def eventually(true: Callable[[], Any], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


class Watch:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Given:
    """A device that gives what it was told to."""

    def __init__(self, values: Any = None, at: float = 100.0) -> None:
        self.values, self.at = np.zeros(DIM, np.float32) if values is None else values, at

    def read(self) -> Command:
        if isinstance(self.values, Exception):
            raise self.values
        return Command(self.values, self.at)


def recorder(intents: tuple[str, ...] = (), **options: Any) -> Recorder:
    """Of a kitchen with all seven tasks."""
    world: KitchenVecEnv = make_kitchens(1, tasks=ALL_TASKS, threads=1, **options)
    return Recorder(world, KitchenCorner(), intents)


def session_of(kept: Recorder, assistant: Any, pilot: DeadMan, limits: Any = None) -> Session:
    """The person holds the first three joints; episode 4."""
    person = Person(pilot, Joints(kept.world.labels), np.arange(DIM) < 3)
    return Session(kept, assistant, person, 4, limits)


def believing_run(path: Path, steps: float) -> Path:
    """A run directory with a small MAC that has a belief over `TASKS`, as made, not trained; demonstrations that step
    by at most `steps`."""
    sizes = ["model.width=32", "model.depth=2", "model.components=3"]
    made = compose_config("train", ["env=kitchen-mixed", "assistant=mac", *sizes])
    made.inputs = made.env.state_dim + len(TASKS)
    assistant = {
        "_target_": "autonomy.intent.assistant.IntentAssistant",
        "policy": OmegaConf.to_container(made.assistant, resolve=True),
        "intents": list(TASKS),
        "persistence": {"_target_": "autonomy.intent.persistence.Persistence", "_partial_": True, "width": 8},
    }
    config = OmegaConf.create({"name": "mac", "env": made.env, "assistant": assistant})
    run = RunDirectory.create(path, config)
    run.write_json(run.card_file, {"action_steps": [steps] * DIM})
    torch.manual_seed(0)
    write_tensors(run.model_file, snapshot(instantiate(config.assistant)), {})
    return run.path
