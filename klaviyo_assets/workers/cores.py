"""How many cores this process may use."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from pathlib import Path

MOST_PROCESSES = 4
"""By default: more of them wait for Klaviyo, and each takes memory."""


def default_processes() -> int:
    """Return how many processes share the work of a long read if nobody says so: one for each core, up to four."""
    return min(MOST_PROCESSES, usable_cores()) if sys.executable else 1  # a program that Python is a part of has none


def usable_cores(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the cores that this process may use, at least 1.

    On Linux that is what `taskset` or the scheduler leave it, and at most what a container's limit comes to: a pod with
    one core sees all of its node's. cgroups: where Linux shows that limit, of either version.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, math.ceil(_quota(cgroups) or cores)))


def _quota(cgroups: Path) -> float | None:
    """Return a container's limit, in cores; None if there is none."""
    with suppress(OSError, ValueError):
        quota, period = (cgroups / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota, period = ((cgroups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    return None
