"""Hand poses. World frame: robot column at the origin, x to the right, y towards the kitchen, z up; metres and
radians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Vector = NDArray[np.float64]
_FORWARD = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
"""The hand's axes (columns: up, finger opening, approach) when the fingers point along +y and open along +x."""


def about_z(angle: float) -> Vector:
    """The rotation (3, 3) by `angle` about the vertical."""
    return np.asarray(Rotation.from_rotvec([0.0, 0.0, angle]).as_matrix())


def hand_rotation(yaw: float = 0.0, pitch: float = 0.0) -> Vector:
    """Hand orientation (3, 3). Yaw > 0 points to the left, pitch < 0 nose down; both zero: fingers along +y."""
    return np.asarray(Rotation.from_euler("ZX", [yaw, pitch]).as_matrix() @ _FORWARD)


def rotation_vector(rotation: Vector) -> Vector:
    """Axis times angle (3,) of a rotation matrix (3, 3), which is not checked to be one: that takes far longer."""
    return np.asarray(Rotation.from_matrix(rotation, assume_valid=True).as_rotvec())


def capped(vector: Vector, limit: float) -> Vector:
    """`vector`, shortened to the length `limit` when it is longer."""
    length = float(np.linalg.norm(vector))
    return vector * (limit / length) if length > limit else vector


@dataclass(frozen=True)
class Pose:
    """Where the tool point should be: `position` (3,) in metres, `rotation` (3, 3) of the hand."""

    position: Vector
    rotation: Vector

    def shifted(self, offset: ArrayLike) -> Pose:
        """The same orientation, `offset` (3,) metres further in the world frame."""
        return Pose(self.position + np.asarray(offset), self.rotation)

    def advanced(self, distance: float) -> Pose:
        """The same orientation, `distance` metres further along the approach axis."""
        return Pose(self.position + distance * self.rotation[:, 2], self.rotation)
