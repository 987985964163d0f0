"""The rendering check says one thing: fine, or what to install."""

from __future__ import annotations

import os

import pytest

from envs import rendering


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", os.environ.get("MUJOCO_GL", ""))  # restores it afterwards
    rendering.rendering_problem.cache_clear()
    yield
    rendering.rendering_problem.cache_clear()


def test_a_backend_that_does_not_exist_is_one_sentence_with_the_packages(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "no-such-backend")
    problem = rendering.rendering_problem()
    assert problem is not None
    assert "libegl1 libgl1" in problem
    assert "\n" not in problem


def test_a_backend_that_loads_is_chosen(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    problem = rendering.rendering_problem()
    if problem is not None:
        pytest.skip(problem)
    assert os.environ["MUJOCO_GL"] in ("egl", "osmesa")
