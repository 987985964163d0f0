"""What is played: an assistant, an operator, and a world, each as something that any process can make."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from autonomy.channels import parse_channels
from autonomy.facts import is_playable
from autonomy.types import Channels, UserError
from envs.world import World


@dataclasses.dataclass(frozen=True)
class Factory:
    """Makes what `config`, a resolved mapping with `_target_`, describes: anew with every call.

    It can be pickled, and equals another one of the same description. The options of a call come on top of those of the
    description. Raises the `UserError` of what it makes as such, and Hydra's error for anything else.
    """

    config: Mapping[str, Any]

    def __call__(self, **options: Any) -> Any:
        try:
            return instantiate(dict(self.config), _convert_="all", **options)
        except InstantiationException as error:
            if isinstance(error.__cause__, UserError):
                raise error.__cause__ from error
            raise


@dataclasses.dataclass(frozen=True)
class Setting:
    """Who plays what, as picklable factories: every process makes its own assistant, operator, and world.

    `world(n=...)` makes `n` environments; `env` is what records and reports say of it, a resolved configuration of that
    group, of which `tasks` is needed. `name` is the assistant's name in records; `seed` is that of the operator's and
    the channels' draws, which also depend on the episode seed and on nothing else.
    """

    name: str
    assistant: Callable[[], Any]
    operator: Callable[[], Any]
    channels: Channels
    world: Callable[..., World]
    env: Mapping[str, Any]
    seed: int = 0

    def labels(self) -> tuple[str, str, str]:
        """The names of assistant, operator and channels. Makes the first two, so mistakes in them show early."""
        self.assistant()
        return self.name, str(self.operator().name), self.channels.name

    def description(self) -> list[Any]:
        """All that its records depend on, but the weights of a trained assistant, as plain JSON values.

        Raises `TypeError` where a part is made by anything but a `Factory`, whose description is known.
        """
        parts = (self.assistant, self.operator, self.world)
        made = [dict(part.config) for part in parts if isinstance(part, Factory)]
        if len(made) < len(parts):
            raise TypeError("only settings that are made of factories have a description")
        return [self.name, *made, self.channels.name, dict(self.env), self.seed]

    def check_world(self) -> None:
        """Raise `UserError` for an option that the world does not have, without playing anything."""
        self.world(n=1).close()


def channels_of(value: Any, env: Mapping[str, Any] | DictConfig) -> Channels:
    """Return the channels `value`, such as base, random-3 or [0, 3], of the configuration `env`. Raises `UserError`."""
    return parse_channels(value, env["action_dim"], env.get("channels") or {})


def world_of(env: Mapping[str, Any] | DictConfig) -> Factory:
    """The world of a configuration of the group `env`. Raises `UserError` for one without a simulator."""
    plain: Any = OmegaConf.to_container(env, resolve=True) if isinstance(env, DictConfig) else env
    if not is_playable(plain):
        raise UserError(
            f"env={plain['name']} has no simulator, so nothing can be played; eval.offline judges without one"
        )
    return Factory(plain["world"])


def make_world(env: Mapping[str, Any] | DictConfig, n: int) -> World:
    """`n` environments of the configuration `env`. Raises `UserError` for an option that the world does not have."""
    world: World = world_of(env)(n=n)
    return world
