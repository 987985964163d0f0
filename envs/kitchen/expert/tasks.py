"""The table of the seven tasks, with their dimensions."""

from __future__ import annotations

from collections.abc import Mapping

from envs.kitchen.expert.doors import DOOR_AJAR, Door, SlidingDoor
from envs.kitchen.expert.kettle import Kettle
from envs.kitchen.expert.phases import CLOSED, COME, Phase, Task, from_start
from envs.kitchen.expert.scene import Scene
from envs.kitchen.expert.servo import REST
from envs.kitchen.expert.switches import Knob, Lever

MICROWAVE = Door(
    "microwave",
    hinge=(-1.12757, 0.45490),
    direction=-1,
    yaw=0.25,
    yaw_gain=-0.8,
    pitch=-0.55,
    height=0.05,
    lead=0.25,
    depth=0.025,
    opened=0.74,
    enough=0.55,
)
HINGE_CABINET = Door(
    "hinge cabinet",
    hinge=(-0.224, 0.71),
    direction=1,
    yaw=0.0,
    yaw_gain=0.0,
    pitch=0.1,
    height=-0.06,
    lead=0.35,
    depth=0.04,
    opened=1.38,
    enough=1.22,
    leave=(-0.24, 0.20, 2.26),
)
TASK_TABLE: Mapping[str, Task] = {
    "microwave": MICROWAVE,
    "kettle": Kettle(),
    "bottom burner": Knob("bottom burner", enough=0.68, covered=False),
    "top burner": Knob("top burner", enough=0.72, covered=True),
    "light switch": Lever(),
    "slide cabinet": SlidingDoor(),
    "hinge cabinet": HINGE_CABINET,
}
_ELBOW = 2
"""The joint whose sign says on which side the elbow is."""


def preparation(task: str, scene: Scene) -> list[Phase]:
    """Pushing the slide cabinet may leave the elbow on the other side: unfold it first, lest the inverse kinematics run
    into joint limits on the way back."""
    blocked = scene.angles["hinge cabinet"] > DOOR_AJAR and task != "slide cabinet"
    if scene.joints[_ELBOW] >= 0.0 or not (blocked or task in ("kettle", "microwave")):
        return []

    def straight(now: Scene, _: Scene) -> bool:
        return bool(now.joints[_ELBOW] > 0.8)

    return [Phase("unfold", from_start(), straight, CLOSED, max_steps=35, posture=REST, part=COME)]
