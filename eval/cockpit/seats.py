"""Who drives: one of the browsers, the others watch."""

from __future__ import annotations

import threading


class Seats:
    """The first to come drives; when the driver leaves, the wheel is free until somebody takes it."""

    def __init__(self) -> None:
        self._lock, self._there = threading.Lock(), set[int]()
        self._driver: int | None = None
        self._let_go = 0

    @property
    def grip(self) -> tuple[int, int] | None:
        """In whose hands the device is, None for nobody's; another one after a driver has let go."""
        driver = self._driver
        return None if driver is None else (driver, self._let_go)

    @property
    def driver(self) -> int | None:
        return self._driver

    @property
    def watching(self) -> int:
        """How many are there and do not drive."""
        return len(self._there) - (self._driver is not None)

    def join(self, who: int) -> None:
        with self._lock:
            if not self._there:
                self._driver = who
            self._there.add(who)

    def leave(self, who: int) -> None:
        with self._lock:
            self._there.discard(who)
            if self._driver == who:
                self._driver = None

    def let_go(self) -> None:
        """The driver takes the hands off the device, and stays."""
        self._let_go += 1

    def take(self, who: int) -> bool:
        """Sit down at the wheel; False for somebody who is not there."""
        with self._lock:
            if who in self._there:
                self._driver = who
            return who in self._there
