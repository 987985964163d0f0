"""Which OpenGL backend MuJoCo can render with on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

_PROBE = "import mujoco; context = mujoco.GLContext(64, 64); context.make_current(); context.free()"
_BACKENDS = ("egl", "osmesa")
_TIMEOUT_S = 60


def _loads(backend: str) -> bool:
    """Try in a process of its own: MUJOCO_GL is read at import, and a broken driver may kill the process."""
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env={**os.environ, "MUJOCO_GL": backend},
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0


def drop_broken_backend() -> None:
    """MuJoCo cannot even be imported when MUJOCO_GL names a backend that does not load: drop it, with one sentence."""
    backend = os.environ.get("MUJOCO_GL")
    if not backend:
        return
    try:
        import mujoco  # noqa: F401
    except (ImportError, AttributeError, OSError, RuntimeError):
        del os.environ["MUJOCO_GL"]
        print(f"MUJOCO_GL={backend} does not load here and is ignored.", file=sys.stderr)


@cache
def rendering_problem() -> str | None:
    """None when frames can be rendered, otherwise one sentence that says what to install.

    A backend that the person chose with MUJOCO_GL is the only one tried; otherwise the first of egl and osmesa that
    loads is put into MUJOCO_GL, for renderers made later in this process and its children.
    """
    chosen = os.environ.get("MUJOCO_GL")
    for backend in (chosen,) if chosen else _BACKENDS:
        if _loads(backend):
            os.environ["MUJOCO_GL"] = backend
            return None
    tried = f"MUJOCO_GL={chosen}" if chosen else "egl or osmesa"
    return (
        f"No video: MuJoCo cannot render with {tried} here; "
        "install Debian's libegl1 and libgl1 (apt-get install libegl1 libgl1) or osmesa (libosmesa6)."
    )
