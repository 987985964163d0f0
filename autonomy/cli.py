"""Entry points: Hydra, with every mistake of a person reported as one sentence on stderr and exit code 2."""

from __future__ import annotations

import functools
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import (
    ConfigCompositionException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue, OmegaConfBaseException

from autonomy.configs import CONFIGS
from autonomy.run_directory import FULL_DISK
from autonomy.types import UserError

_RAISE = "HYDRA_FULL_ERROR"
"""The environment variable that makes Hydra raise instead of printing; set to 1 by a person who wants tracebacks."""
# What a constructor raises for a setting that it cannot use.
BAD_SETTING = (UserError, ValueError, TypeError)


def main(config_name: str, root: Path = CONFIGS) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Make `function(cfg)` a program that composes <root>/<config_name>.yaml with the command line's overrides.

    The program neither changes the directory nor writes a log of its own. With HYDRA_FULL_ERROR=1 in the environment,
    mistakes show their traceback.
    """

    def decorate(function: Callable[[DictConfig], None]) -> Callable[[], None]:
        failures: list[BaseException] = []
        tracebacks: str | None = None

        @functools.wraps(function)
        def task(cfg: DictConfig) -> None:
            GlobalHydra.instance().clear()  # composed; the function may compose other configurations
            try:
                with _variable(_RAISE, tracebacks):  # programs that the function starts report their own mistakes
                    function(cfg)
            except BaseException as error:  # taken out of Hydra, which would print a line of its own about it
                if HydraConfig.get().mode == RunMode.MULTIRUN:  # the job may be in another process
                    raise
                failures.append(error)

        @functools.wraps(function)
        def program() -> None:
            nonlocal tracebacks
            tracebacks = os.environ.get(_RAISE)
            failures.clear()
            with reported(root / f"{config_name}.yaml"):
                hydra.main(version_base="1.3", config_path=str(root), config_name=config_name)(task)()
                if failures:
                    raise failures.pop()

        return program

    return decorate


@contextmanager
def reported(config: Path | None = None) -> Iterator[None]:
    """Turn mistakes into one sentence and exit code 2; other exceptions are bugs and keep their traceback.

    `config`: the configuration file that is composed, so that a sentence can name what there is in it.
    """
    traceback_wanted = os.environ.get(_RAISE) == "1"
    try:
        with _variable(_RAISE, "1"):
            yield
    except KeyboardInterrupt:
        _exit("interrupted", 130)
    except Exception as error:
        sentence = None if traceback_wanted else explain(error, config)
        if sentence is None:
            raise
        _exit(f"error: {sentence}", 2)


@contextmanager
def _variable(name: str, value: str | None) -> Iterator[None]:
    """The environment variable is `value`, or absent when that is None, for a while."""
    before = os.environ.get(name)
    try:
        _set(name, value)
        yield
    finally:
        _set(name, before)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _exit(text: str, code: int) -> NoReturn:
    print(text, file=sys.stderr)
    raise SystemExit(code)


def explain(error: BaseException, config: Path | None = None) -> str | None:
    """One sentence for a mistake that a person can mend, or None for anything else."""
    if isinstance(error, UserError):
        return _one_line(str(error))
    if isinstance(error, MissingConfigException):
        return _unknown_option(error)
    if isinstance(error, OverrideParseException):
        return f"cannot read the override {error.override!r}: {str(error.__cause__ or error).splitlines()[0]}"
    if isinstance(error, ConfigCompositionException):
        return _bad_override(error, config)
    if isinstance(error, InstantiationException):
        return _bad_setting(error)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value; give {error.full_key}=..."
    if isinstance(error, InterpolationKeyError):
        return _lacking(error)
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return f"the disk is full: {error.strerror} while writing {error.filename or 'a file'}"
    if isinstance(error, TypeError) and _raised_in(error, "defaults_list.py"):  # Hydra, given operator=[0,9]
        return "a group such as operator takes names, not numbers"
    return None


def _lacking(error: InterpolationKeyError) -> str:
    """A setting that refers to one that is not there."""
    key = re.search(r"'([^']+)'", str(error))
    name = key[1] if key else "another one"
    return f"{error.full_key} refers to {name}, which this configuration lacks"


def _raised_in(error: BaseException, file: str) -> bool:
    """Whether the last frame of the traceback is in a file of that name."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).name == file


def _unknown_option(error: MissingConfigException) -> str:
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return _one_line(str(error))
    return f"unknown {group} {name!r}; the valid ones are {', '.join(sorted(error.options or []))}"


def _bad_override(error: ConfigCompositionException, config: Path | None) -> str:
    """An override of a key that is not there names the keys that are, one of a group the groups."""
    text = _one_line(str(error))
    group = re.match(r"Could not override '([^']+)'\. No match in the defaults list", text)
    if group and config:
        return f"there is no group {group[1]!r} to choose from here; the valid ones are {', '.join(_groups(config))}"
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, OmegaConfBaseException) or cause.parent_node is None:
        return _one_line(str(error))
    path = (cause.full_key or str(cause.key)).rpartition(".")[0]
    valid = sorted(str(key) for key in cause.parent_node if key != "hydra")
    where = f" in {path}" if path else ""
    if not valid:
        return f"{path} is a plain value and has no key {cause.key!r}; override {path}=... itself"
    return f"unknown key {cause.key!r}{where}; the valid ones are {', '.join(valid)}"


def _groups(config: Path) -> list[str]:
    """The groups in the defaults of a configuration file."""
    defaults = OmegaConf.select(OmegaConf.load(config), "defaults", default=[])
    groups = [str(key) for entry in defaults if isinstance(entry, DictConfig) for key in entry]
    return sorted(group for group in groups if not group.startswith("override "))


def _bad_setting(error: InstantiationException) -> str | None:
    chain: list[BaseException] = [error]
    while isinstance(chain[-1], InstantiationException) and (chain[-1].__cause__ or chain[-1].__context__):
        chain.append(cast(BaseException, chain[-1].__cause__ or chain[-1].__context__))
    cause, text = chain[-1], str(error)
    key = re.search(r"full_key: ([\w.]+)", text)
    where = f"{key[1]}: " if key else ""
    if isinstance(cause, UserError):
        return _one_line(str(cause))
    if isinstance(cause, InstantiationException):
        return f"{where}a plain value stands where a group of settings belongs; override the keys in it one by one"
    if isinstance(cause, BAD_SETTING):
        return _one_line(f"{where}{cause}")
    if "Error locating target" in text:
        return _one_line(f"{where}there is no such class: {cause}")
    return explain(cause)


def _one_line(text: str) -> str:
    return " ".join(text.split())
