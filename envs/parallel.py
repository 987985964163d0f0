"""Work sharded by episode over processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from tqdm import tqdm

Job = TypeVar("Job")
Result = TypeVar("Result")


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _exit_with_parent() -> None:
    """Workers wait on a queue that stays open when the main process is killed; this ends them."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _start_worker(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _context(module: str, fresh: bool) -> BaseContext:
    """How processes start: forked from a server that has `module`, or else with nothing imported.

    The server is that of this whole program; it has the module of the first call.
    """
    if fresh or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    return context


def imap_episodes(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    processes: int | None = None,
    environment: dict[str, str] | None = None,
    fresh: bool = False,
) -> Iterator[tuple[int, Result]]:
    """`(index, function(jobs[index]))` over `processes` new processes (default: all cores), as each one finishes.

    A result depends on `processes` only if a job looks at more than its own argument. `function` must be importable by
    name; `environment` is added to the workers' environment variables. Workers are forked from a process that has
    imported the module of `function` and does nothing else, which starts them in a fraction of the time; `fresh` ones
    import everything themselves, with `environment` in place.
    """
    options: dict[str, Any] = {
        "max_workers": max(1, min(processes or available_cores(), len(jobs))),
        "mp_context": _context(function.__module__, fresh),
        "initializer": _start_worker,
        "initargs": (environment or {},),
    }
    with ProcessPoolExecutor(**options) as pool:
        try:
            futures = {pool.submit(function, job): index for index, job in enumerate(jobs)}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def map_episodes(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    processes: int | None = None,
    label: str = "episodes",
    environment: dict[str, str] | None = None,
) -> list[Result]:
    """`[function(job) for job in jobs]` by `imap_episodes`, with a progress bar and in the order of the jobs."""
    finished = imap_episodes(function, jobs, processes=processes, environment=environment)
    results = dict(tqdm(finished, total=len(jobs), desc=label, unit="episode", dynamic_ncols=True))
    return [results[index] for index in range(len(jobs))]
