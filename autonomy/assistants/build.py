"""From a run's configuration to an assistant."""

from __future__ import annotations

from functools import partial

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.committee import Committee
from autonomy.legacy import modern_assistant
from autonomy.types import UserError


def build_assistant(config: DictConfig) -> TorchAssistant:
    """The assistant that `config` (configs/train.yaml, resolved or not) describes, with new weights.

    `assistant` is the policy, of which there are `members`; with `intents`, `intent` wraps it into the assistant that
    works out which of them the operator is after. Raises Hydra's errors for what cannot be made, and `UserError` for a
    policy that cannot be told intents.
    """
    recipe = modern_assistant(config.assistant)
    policy = instantiate(recipe)
    members = config.get("members", 1)
    if getattr(policy, "members", 1) != members:
        policy = Committee(partial(instantiate, recipe), members)
    if not config.get("intents"):
        return policy  # type: ignore[no-any-return]
    if getattr(policy, "window", 1) > 1:
        raise UserError("this assistant remembers by itself and reads no intents; train it with intent=none")
    tasks = list(OmegaConf.select(config, "env.tasks") or ())
    assistant: TorchAssistant = instantiate(config.intent, policy=policy, intents=list(config.intents), tasks=tasks)
    return assistant
