"""The clock: a tick in every period, whatever the page, the disk and the rest of the machine do."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

_KEPT = 1000


class Loop:
    """Calls `tick` in a thread of its own at the start of every `period`, in seconds; a long one skips periods."""

    def __init__(self, tick: Callable[[], None], period: float) -> None:
        self._tick, self._period = tick, period
        self._late: deque[float] = deque(maxlen=_KEPT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ticks = 0
        """How many there were."""
        self.error: BaseException | None = None
        """What ended the loop, if it was not `stop`."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the last tick is over."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def join(self, seconds: float) -> None:
        """Wait for the end, at most so long."""
        self._thread.join(seconds)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def jitter(self) -> float:
        """The 99th percentile of the seconds by which ticks began late, of the last thousand."""
        return float(np.percentile(list(self._late), 99)) if self._late else 0.0

    def forget(self) -> None:
        """Count lateness from now on."""
        self._late.clear()

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                self._late.append(time.monotonic() - due)
                self._tick()
                self.ticks += 1
                missed = int(max(0.0, time.monotonic() - due) / self._period)
                due += self._period * (missed + 1)
        except BaseException as error:
            self.error = error
