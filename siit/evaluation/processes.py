"""Does jobs in this process, or shares them among several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch

_Job = TypeVar("_Job")
_Found = TypeVar("_Found")

KILLED = "a process was killed, often for want of memory; the same command goes on, with a smaller number of jobs"
_own: Callable[[Any], Any] | None = None
"""Does the jobs of a process that shares them; it keeps its latest model."""


def shared(
    do: Callable[[_Job], _Found], jobs: Mapping[int, _Job], processes: int
) -> Generator[tuple[int, _Found | str], None, None]:
    """Does jobs and yields what each gave, as they end.

    Processes begin with this one's threads and places of modules. Whatever ends the iteration early, or this process,
    ends them too.

    Args:
        do: does a job; for several processes it must be picklable, as jobs and what they give.
        jobs: by number.
        processes: how many share the jobs; one is this process.

    Returns:
        The job's number, and what it gave, or, where its process was killed, a line that says so.
    """
    if processes == 1:
        yield from ((index, do(job)) for index, job in jobs.items())
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(processes, max(1, len(jobs))),
        # A fork would share this process's threads and its device.
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(do, torch.get_num_threads()),
    )
    try:
        # Ctrl-C goes to all processes of a terminal. Those that begin here never hear it; this one ends them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            futures = {pool.submit(_do, job): index for index, job in jobs.items()}
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for future in as_completed(futures):
            try:
                found = future.result()
            except BrokenProcessPool:
                found = KILLED
            yield futures[future], found
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    pool.shutdown()


def _begin(do: Callable[[Any], Any], threads: int) -> None:
    global _own
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    torch.set_num_threads(threads)
    _own = do


def _end_with_the_first() -> None:
    """Ends this process where the first one was killed: it would wait for jobs for ever."""
    first = multiprocessing.parent_process()
    assert first is not None
    first.join()
    os._exit(1)


def _do(job: Any) -> Any:
    assert _own is not None
    return _own(job)
