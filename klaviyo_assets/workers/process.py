"""A worker, as the process sees it that has started it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

from klaviyo_assets import environment
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.workers.conversion import READY, Convert, Done, Task

_ENDING_SECONDS = 10.0  # to learn how a process has ended whose pipe is closed


class WorkerDied(WarehouseError):
    """A process that turned pages into rows has ended in the middle of it. status: what it ended with."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status

    def fact(self) -> str:
        """Return what went wrong, in words."""
        how = "" if self.status is None else f" with {self.status}"
        if self.status is not None and self.status < 0:
            with suppress(ValueError):
                how = f" by {signal.Signals(-self.status).name}"
        return f"A process that turned pages into rows has ended{how}. Nothing was written."


class WorkerNotStarted(WarehouseError):
    """The machine has no process for the pages of a read. reason: what it says."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return f"A process that turns pages into rows can't be started: {self.reason}. Nothing was written."


class Worker:
    """A process that does one task at a time. `convert` is what it does with a page.

    It is a new Python with the same paths and environment, not a fork and not a child of `multiprocessing`: it imports
    nothing of who reads, who may have threads, be a daemon, or have a main module that would run again.

    Raises WorkerNotStarted.
    """

    def __init__(self, convert: Convert) -> None:
        self._convert: Convert | None = convert
        # Variables as they count here, whoever has written `.env` over them: the salt of digests is one of them.
        variables = {**environment.variables(), **environment.settled()}
        paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - "" is the working directory
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "klaviyo_assets.workers.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**variables, "PYTHONPATH": os.pathsep.join(paths)},
            )
        except OSError as error:
            raise WorkerNotStarted(error.strerror or str(error)) from error

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def do(self, task: Task) -> Done:
        """Have a task done.

        Raises WorkerDied if the process ends meanwhile, and what was raised there.
        """
        try:
            if self._convert is not None:
                self._wait_until_ready()
                self._send(self._convert)
                self._convert = None
            self._send(task)
            task.pages.clear()
            answer = pickle.load(self._process.stdout)  # type: ignore[arg-type]  # noqa: S301
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            raise WorkerDied(self._status()) from None
        if isinstance(answer, BaseException):
            raise answer
        done: Done = answer
        return done

    def kill(self) -> None:
        """End the process, whatever it does; `close` has to follow, once nobody has it do anything any more."""
        self._process.kill()

    def close(self) -> None:
        """Wait for the end of the process."""
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was being sent can't be any more
                pipe.close()  # type: ignore[union-attr]

    def _wait_until_ready(self) -> None:
        """Skip what is printed while Python starts, by a `sitecustomize` for example: the answers begin after it."""
        for line in self._process.stdout:  # type: ignore[union-attr]
            if line.endswith(READY):
                return
        raise EOFError

    def _send(self, what: Any) -> None:
        pickle.dump(what, self._process.stdin, pickle.HIGHEST_PROTOCOL)  # type: ignore[arg-type]
        self._process.stdin.flush()  # type: ignore[union-attr]

    def _status(self) -> int | None:
        try:
            return self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            return None
