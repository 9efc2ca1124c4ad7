"""A process that does tasks: it reads them from its standard input, and writes what came of each to its output.

It ends when its input does, so that it outlives nobody: the other end of the pipe closes with the process that has
it, however that ends. Both ends are processes of ours, so that what goes through is pickled.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import Any, BinaryIO, NoReturn

from klaviyo_assets.workers.conversion import READY, Task, Unpicklable, do


def main() -> NoReturn:
    """Do tasks until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a key that is pressed interrupts who gives the tasks
    tasks, answers = _pipes()
    answers.write(READY)
    answers.flush()
    waiting: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(tasks, waiting), daemon=True).start()
    convert = waiting.get()
    gc.disable()  # pages make no cycles; what else is left behind is collected between two tasks
    gc.freeze()
    while True:
        _send(answers, _answer(waiting.get(), convert))
        gc.collect()


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep input and output for tasks alone: what else is printed here goes to the log."""
    tasks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return tasks, answers


def _receive(tasks: BinaryIO, waiting: SimpleQueue[Any]) -> None:
    """Take what comes, in a thread of its own: it notices at once that nothing comes any more."""
    try:
        while True:
            waiting.put(pickle.load(tasks))  # noqa: S301
    except (EOFError, OSError, pickle.UnpicklingError):
        os._exit(0)  # half a task is none; nobody waits for what is being done
    except BaseException:  # noqa: BLE001 - whoever gives tasks sees that this process is gone, and the log has why
        traceback.print_exc()
        os._exit(1)


def _answer(task: Task, convert: Any) -> Any:
    try:
        return do(task, convert)
    except BaseException as error:  # noqa: BLE001 - raised where the read is
        error.add_note("In a process beside the read's:\n" + "".join(traceback.format_tb(error.__traceback__)))
        return _picklable(error.with_traceback(None))


def _picklable(error: BaseException) -> BaseException:
    error.__cause__ = error.__context__ = None
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        if type(again) is type(error) and str(again) == str(error):
            return error
    except Exception:  # noqa: BLE001, S110 - any of them says the same
        pass
    told = Unpicklable(f"{type(error).__name__}: {error}")
    told.__notes__ = error.__notes__
    return told


def _send(answers: BinaryIO, answer: Any) -> None:
    pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
