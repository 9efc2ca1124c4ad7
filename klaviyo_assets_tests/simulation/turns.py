"""Threads that take turns: what the product gives to several goes on in one, in an order that chance has chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from greenlet import getcurrent, greenlet


def _always() -> bool:
    return True


class Turns:
    """Gives one task the turn, and another one when that waits for something. choose: one of so many.

    As in a process, the main one goes on beside those that it began.
    """

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._main = getcurrent()
        self._waiting: dict[greenlet, Callable[[], Any]] = {}

    def begin(self, act: Callable[[], object]) -> greenlet:
        """Begin a task, which gets its first turn later."""
        here = getcurrent()

        def run() -> None:
            self._waiting[task] = _always
            here.switch()
            act()
            task.parent = self._next()  # who goes on when this one has ended

        task = greenlet(run, self._main)
        task.switch()
        return task

    def wait(self, ready: Callable[[], Any] = _always) -> None:
        """Let others go on, until it is so and it is this one's turn again."""
        here = getcurrent()
        self._waiting[here] = ready
        chosen = self._next()
        if chosen is not here:
            chosen.switch()

    def finish(self) -> None:
        """Let everybody else come to the end."""
        self.wait(lambda: len(self._waiting) == 1)

    def _next(self) -> greenlet:
        able = [task for task, ready in self._waiting.items() if ready()]
        if not able:
            raise RuntimeError("each waits for another one")
        chosen = able[self._choose(len(able)) if len(able) > 1 else 0]
        del self._waiting[chosen]
        return chosen

    def take_the_place_of_threads(self, patch: pytest.MonkeyPatch) -> None:
        """Have the product's readers be tasks."""
        threads: dict[greenlet, Thread] = {}
        turns = self

        class Thread:
            def __init__(self, target: Callable[..., object], args: tuple[Any, ...] = (), **_: Any) -> None:
                self._target, self._args = target, args
                self._is_over = False

            def start(self) -> None:
                threads[turns.begin(self._run)] = self

            def join(self, timeout: float | None = None) -> None:
                turns.wait(lambda: self._is_over)

            def _run(self) -> None:
                self._target(*self._args)
                self._is_over = True
                del threads[getcurrent()]

        class Condition:
            def __enter__(self) -> None:
                """Nobody else goes on before there is something to wait for."""

            def __exit__(self, *_: object) -> None: ...

            def wait_for(self, ready: Callable[[], Any]) -> None:
                if not ready():
                    turns.wait(ready)

            def notify(self) -> None: ...

            notify_all = notify

        of_threads = SimpleNamespace(Thread=Thread, Condition=Condition, current_thread=lambda: threads[getcurrent()])
        for module in ("windows", "concurrency"):
            patch.setattr(f"klaviyo_assets.api.{module}.threading", of_threads)
        for module in ("vanished", "reads.reading"):
            patch.setattr(f"klaviyo_assets.sync.{module}.ThreadPoolExecutor", lambda size, **_: Pool(turns, size))
        patch.setattr("klaviyo_assets.sync.reads.reading.wait", self._wait_for_first)

    def _wait_for_first(self, futures: Iterable[Future[Any]], **_: object) -> SimpleNamespace:
        self.wait(lambda: any(future.done() for future in futures))
        return SimpleNamespace(done=[future for future in futures if future.done()])


class Pool(Executor):
    """Tasks that do what is given to them, `size` of it at a time."""

    def __init__(self, turns: Turns, size: int) -> None:
        self._turns, self._free, self._size = turns, size, size
        self._left: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, act: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._left.append((future, partial(act, *given, **named)))
        if self._free:
            self._free -= 1
            self._turns.begin(self._work)
        return future

    def map(self, act: Callable[..., Any], *items: Iterable[Any], **_: Any) -> Iterator[Any]:
        for future in [self.submit(act, *given) for given in zip(*items, strict=False)]:
            self._turns.wait(future.done)
            yield future.result()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            self._left.clear()
        if wait:
            self._turns.wait(lambda: not self._left and self._free == self._size)

    def _work(self) -> None:
        while self._left:
            future, act = self._left.pop(0)
            try:
                future.set_result(act())
            except BaseException as error:  # noqa: BLE001 - raised where it is asked for
                future.set_exception(error)
        self._free += 1
