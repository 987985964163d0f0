"""From the cockpit's configuration to a page that is served."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from autonomy.checkpoint import check_compatible
from autonomy.checks import choice, whole
from autonomy.configs import CONFIGS
from autonomy.run_directory import RunDirectory
from autonomy.types import UserError
from eval.cockpit.cockpit import Choices, Cockpit
from eval.cockpit.stage import Stage
from eval.cockpit.steering import Joints, Steering
from eval.cockpit.trial import Trial
from eval.settings import assistant_name, usable_folder

if TYPE_CHECKING:
    from eval.cockpit.page import Page

HOME = CONFIGS / "cockpit"
JOINTS = "joints"
TOKEN_LENGTH = 8
PRIORITY = -10
"""Niceness."""
SWITCH_INTERVAL = 0.00005
"""Seconds that a thread may keep Python's interpreter while the control loop waits for it."""


def compose_cockpit(overrides: Sequence[str]) -> DictConfig:
    """configs/cockpit/cockpit.yaml with `overrides`."""
    with initialize_config_dir(str(HOME), version_base="1.3"):
        return compose("cockpit", list(overrides))


@contextmanager
def serving(cfg: DictConfig) -> Iterator[tuple[Cockpit, Page]]:
    """The cockpit of `cfg` with its loop running and its page up; in the end what was recorded is saved.

    Decisions are made on one thread of torch: with two, a busy machine makes single ones wait. Raises `UserError` for
    a wrong configuration and without the packages, and whatever ended the loop or the page before its time.
    """
    try:
        from eval.cockpit.page import Page
    except ImportError as error:
        raise UserError("the cockpit needs viser and mjviser; install them with: pip install '.[cockpit]'") from error
    host, token, port = _host(cfg), _token(cfg), whole("port", cfg.port, 0)
    cockpit = make(cfg)
    threads, interval = torch.get_num_threads(), sys.getswitchinterval()
    torch.set_num_threads(1)
    sys.setswitchinterval(SWITCH_INTERVAL)
    with _urgent():
        page = Page(cockpit, host, port, token)
        cockpit.loop.start()
    try:
        yield cockpit, page
    finally:
        cockpit.loop.stop()
        page.close()
        cockpit.save()
        torch.set_num_threads(threads)
        sys.setswitchinterval(interval)
    failure = cockpit.loop.error or page.error
    if failure is not None:
        raise failure


@contextmanager
def _urgent() -> Iterator[None]:
    """Threads that start meanwhile, and those that they start, go before others, where the system grants it.

    All of them, since any may hold Python's interpreter while the loop waits for it.
    """
    try:
        before = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    except (OSError, AttributeError):
        yield
        return
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def make(cfg: DictConfig) -> Cockpit:
    """The cockpit that `cfg` (configs/cockpit) describes, without a page."""
    runs = _runs(cfg)
    first = RunDirectory.open(next(iter(runs.values()))).config()
    for path in runs.values():
        check_compatible(path, first.env)
    stage, seed = Stage(first.env, endless=cfg.trial is None), whole("seed", cfg.seed, 0)
    steerings: dict[str, Steering] = {JOINTS: Joints(stage.world.labels), **stage.corner.steerings}
    steering = steerings[choice("steering", cfg.steering, tuple(steerings))]
    device = instantiate(cfg.device, width=len(steering.labels))
    held, channels = stage.channels(cfg.held)
    choices = Choices(runs, channels, str(cfg.precision), _intents(runs))
    trial = None
    if cfg.trial is not None:
        choice("trial", cfg.trial, ("ab",))
        folder = usable_folder(Path(str(cfg.out)))
        trial = Trial(cfg.pairs, seed, folder, next(iter(runs)), held)
    return Cockpit(stage, choices, device, steering, held, seed, trial)


def _runs(cfg: DictConfig) -> dict[str, Path]:
    if OmegaConf.is_dict(cfg.run):
        return {str(name): Path(path) for name, path in cfg.run.items()}
    return {assistant_name(cfg.run): Path(cfg.run)}


def _intents(runs: dict[str, Path]) -> tuple[str, ...]:
    """The tasks that any of the runs was trained to tell apart."""
    configs = [RunDirectory.open(path).config() for path in runs.values()]
    found = [config.get("intents") or config.assistant.get("intents") or () for config in configs]
    return tuple(dict.fromkeys(str(name) for names in found for name in names))


def _host(cfg: DictConfig) -> str:
    """The address. Raises `UserError` for one that others can reach when there is no token."""
    try:
        loopback = cfg.host == "localhost" or ipaddress.ip_address(cfg.host).is_loopback
    except ValueError:
        raise UserError(f"host must be an address such as 127.0.0.1, got {cfg.host!r}") from None
    if not loopback and cfg.token is None:
        raise UserError(f"host={cfg.host} can be reached from other machines: give a token=..., or use 127.0.0.1")
    return str(cfg.host)


def _token(cfg: DictConfig) -> str | None:
    if cfg.token is not None and len(str(cfg.token)) < TOKEN_LENGTH:
        raise UserError(f"token must have at least {TOKEN_LENGTH} characters")
    return None if cfg.token is None else str(cfg.token)
