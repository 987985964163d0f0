"""Serves the cockpit until Ctrl-C.

python -m eval.cockpit run=DIR held=base device=keyboard
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import time
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from autonomy.checkpoint import check_compatible
from autonomy.checks import choice, number, whole
from autonomy.cli import CONFIGS, main
from autonomy.run_directory import RunDirectory
from autonomy.types import UserError
from envs.kitchens import NOISE
from envs.tasks import TASK_SETS
from eval.cockpit.cockpit import Choices, Cockpit
from eval.cockpit.loop import Loop
from eval.cockpit.steering import Hand, Joints, Steering
from eval.settings import assistant_name

STEERINGS = ("joints", "hand")


@main("cockpit", CONFIGS / "cockpit")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/cockpit."""
    try:
        from eval.cockpit.page import Page
    except ImportError as error:
        raise UserError("the cockpit needs viser and mjviser; install them with: pip install '.[cockpit]'") from error
    seconds = math.inf if cfg.seconds is None else number("seconds", cfg.seconds, 0)
    torch.set_num_threads(1)  # on two, a busy machine makes single decisions wait
    cockpit = make(cfg)
    page = Page(cockpit, _host(cfg), whole("port", cfg.port, 0))
    cockpit.loop.start()
    print(f"http://{page.server.get_host()}:{page.server.get_port()}", flush=True)
    try:
        _wait(cockpit.loop, time.monotonic() + seconds)
    finally:
        cockpit.loop.stop()
        page.close()
        cockpit.save()
        for name in cockpit.saved:
            print(f"recorded: {name}")
    if cockpit.loop.error is not None:
        raise cockpit.loop.error


def _wait(loop: Loop, until: float) -> None:
    """For Ctrl-C, the end of the loop, or the time."""
    with contextlib.suppress(KeyboardInterrupt):
        while loop.running and time.monotonic() < until:
            loop.join(0.2)


def make(cfg: DictConfig) -> Cockpit:
    """The cockpit that `cfg` (configs/cockpit) describes, without a page."""
    runs = _runs(cfg)
    first = RunDirectory.open(next(iter(runs.values()))).config()
    for path in runs.values():
        check_compatible(path, first.env)
    steering: Steering = (
        Hand() if choice("steering", cfg.steering, STEERINGS) == "hand" else Joints(first.env.action_dim)
    )
    device = instantiate(cfg.device, width=len(steering.labels))
    names = tuple(
        sorted(path.stem for path in (CONFIGS / "channels").glob("*.yaml") if path.stem not in ("list", "joystick"))
    )
    choices = Choices(runs, names, tuple(TASK_SETS), tuple(NOISE))
    return Cockpit(
        first.env, choices, device, steering, choice("channels", cfg.held, names), whole("seed", cfg.seed, 0)
    )


def _runs(cfg: DictConfig) -> dict[str, Path]:
    if OmegaConf.is_dict(cfg.run):
        return {str(name): Path(path) for name, path in cfg.run.items()}
    return {assistant_name(cfg.run): Path(cfg.run)}


def _host(cfg: DictConfig) -> str:
    """The address. Raises `UserError` for one that others can reach."""
    try:
        loopback = cfg.host == "localhost" or ipaddress.ip_address(cfg.host).is_loopback
    except ValueError:
        raise UserError(f"host must be an address such as 127.0.0.1, got {cfg.host!r}") from None
    if not loopback:
        raise UserError(f"host={cfg.host} can be reached from other machines; use 127.0.0.1 and an ssh tunnel")
    return str(cfg.host)


if __name__ == "__main__":
    run()
