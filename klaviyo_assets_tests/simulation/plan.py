"""What a history consists of: told by its seed, and shortened until nothing can be left out of it."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

SECOND, MINUTE, HOUR, DAY = (dt.timedelta(seconds=each) for each in (1, 60, 3600, 86_400))
SYNCS, QUIET_DAYS = 8, 9
_BY_HAND = ((0, 0), (3, 0), (9, 0), (1, 1), (1, 1), (4, 4), (12, 3), (12, 6))
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu")


@dataclass(frozen=True)
class Step:
    """A pause in which something happens to the account, and the sync at its end.

    seed: of all that is left to chance in the sync. happenings, meanwhile, meddling: seeds of what happens to the
    account, also while it is read, and to the tables afterwards. trouble: share of requests that fail. ahead: this
    machine's clock. kill: the sync ends at so many requests and statements. beside: a job that runs at the same time.
    backfills: whether the sensor is on. by_hand: somebody reads the days from so many before today to so many.
    klaviyo_ahead: Klaviyo's clock, meanwhile. answers: what is wrong with some of them. resync: the table that
    somebody has imported anew, or `all`.
    """

    seed: int
    pause: dt.timedelta
    happenings: tuple[int | str, ...] = ()
    meanwhile: tuple[int | str, ...] = ()
    trouble: float = 0.0
    ahead: dt.timedelta = dt.timedelta(0)
    kill: int | None = None
    zone: str = "UTC"
    beside: str = ""
    backfills: bool = False
    meddling: int | str | None = None
    by_hand: tuple[int, int] | None = None
    klaviyo_ahead: dt.timedelta = dt.timedelta(0)
    answers: str = ""
    resync: str = ""

    def __str__(self) -> str:
        found = [f"{name} {value}" for name, value in vars(self).items() if value and name not in _ELSEWHERE]
        return ", ".join(["sync", *found])


_ELSEWHERE = ("seed", "pause", "happenings", "meanwhile", "meddling", "backfills", "by_hand", "resync")
"""What the story tells by itself."""

Steps = tuple[Step, ...]


def history(seed: int) -> Steps:
    """Return the history of a seed."""
    chance = random.Random(seed)
    steps = [_step(chance) for _ in range(SYNCS)]
    if chance.random() < 0.3:  # once: what two reads lack that are hours apart counts as gone
        number = chance.randrange(SYNCS)
        steps[number] = replace(steps[number], answers=chance.choice(("empty", "without attributes", "of no event")))
    return tuple(steps)


def _step(chance: random.Random) -> Step:
    some = chance.random
    ahead = chance.choice((0, 0, 0, 0, 0, -0.7, 0.7, -48, 48)) * HOUR
    pause = chance.choices((HOUR, 3 * HOUR, DAY, 2 * DAY, 13 * DAY), (8, 4, 4, 3, 1))[0] * chance.uniform(0.9, 1.1)
    beside = chance.choices(("", "klaviyo_sync", "klaviyo_full_refresh"), (80, 12, 8))[0]

    def some_happenings(most: int) -> tuple[int, ...]:
        return tuple(chance.getrandbits(28) for _ in range(chance.randrange(most)))

    return Step(
        seed=chance.getrandbits(32),
        pause=pause,
        happenings=some_happenings(15 if pause > 3 * DAY else 5),
        meanwhile=some_happenings(6 if beside else 2),
        trouble=chance.choice((0, 0, 0, 0.05, 0.3)),
        ahead=ahead,
        kill=chance.randrange(1, chance.choice((150, 1500))) if some() < 0.3 else None,
        zone=chance.choice(ZONES),
        beside=beside,
        backfills=some() < 0.3,
        meddling=chance.getrandbits(32) if some() < 0.15 else None,
        by_hand=chance.choice(_BY_HAND) if some() < 0.15 else None,
        klaviyo_ahead=chance.choice((-0.7, 0.7, 0.7, 48)) * HOUR if some() < 0.15 and not ahead else 0 * HOUR,
        resync=chance.choice(("event", "person", "all")) if some() < 0.05 else "",
    )


_LEFT_OUT = ("meanwhile", "trouble", "ahead", "kill", "zone", "beside", "backfills", "meddling", "by_hand")
_LEFT_OUT += ("klaviyo_ahead", "answers", "resync")
"""What a step can do without: it has a default."""


def shorter(steps: Steps) -> Iterator[Steps]:
    """Yield histories with less in them, the shortest first."""
    size = len(steps) // 2
    while size:
        yield from (steps[:at] + steps[at + size :] for at in range(0, len(steps), size))
        size //= 2
    for at, step in enumerate(steps):
        happenings = step.happenings
        less = [replace(step, happenings=())]
        less += [replace(step, happenings=happenings[:n] + happenings[n + 1 :]) for n in range(len(happenings))]
        less += [replace(step, **{name: getattr(Step, name)}) for name in _LEFT_OUT]
        less += [replace(step, pause=min(step.pause, HOUR))]
        yield from ((*steps[:at], each, *steps[at + 1 :]) for each in less if each != step)


def shortest(steps: Steps, is_wrong: Callable[[Steps], bool]) -> Steps:
    """Return a history that is wrong as well, of which nothing can be left out by itself."""
    tried = {steps}
    while True:
        for less in shorter(steps):
            if less not in tried:
                tried.add(less)
                if is_wrong(less):
                    steps = less
                    break
        else:
            return steps
