"""Several workers, which share the tasks of a read."""

from __future__ import annotations

import signal
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from klaviyo_assets.workers.conversion import Convert, Done, Task
from klaviyo_assets.workers.process import Worker, WorkerNotStarted


class Pool:
    """Up to `processes` workers; what has come of their tasks is given back in the order of the tasks.

    A thread for each worker sends it tasks and waits for its answers. A worker starts when there is a task and all
    others are busy: where Klaviyo is what is waited for, few are needed. None outlives the pool's context.
    """

    def __init__(self, processes: int, convert: Convert) -> None:
        self._processes, self._convert = processes, convert
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="klaviyo-worker", initializer=_ignore_ctrl_c)
        self._given: deque[Future[Done]] = deque()
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._idle: list[Worker] = []
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._ended = True
            for worker in self._workers:
                worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def give(self, task: Task) -> list[Done]:
        """Take a task; return what has come of earlier ones since the last time.

        As many tasks as there may be workers are under way, and one waits; before there are more, this waits. Raises
        what a task raised, WorkerDied if a process has ended, and WorkerNotStarted.
        """
        try:
            self._given.append(self._threads.submit(self._do, task))
        except RuntimeError as error:  # a limit on processes is one on threads as well
            raise WorkerNotStarted(str(error)) from error
        done = []
        while self._given and (len(self._given) > self._processes + 1 or self._given[0].done()):
            done.append(self._given.popleft().result())
        return done

    def rest(self) -> list[Done]:
        """Wait for all tasks; return what has come of them. Raises as `give` does."""
        done = [given.result() for given in self._given]
        self._given.clear()
        return done

    def _do(self, task: Task) -> Done:
        worker = self._worker()
        done = worker.do(task)
        self._idle.append(worker)
        return done

    def _worker(self) -> Worker:
        """Take an idle worker, or start one: threads that ask for one are as many as there may be."""
        with self._lock:
            if self._ended:
                raise RuntimeError("The read has ended.")
            if self._idle:
                return self._idle.pop()
            self._workers.append(Worker(self._convert))
            return self._workers[-1]


def _ignore_ctrl_c() -> None:
    """Have what this thread starts know nothing of Ctrl-C from its first moment on; it is for who reads."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
