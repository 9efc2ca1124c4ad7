"""The definitions on a machine whose clock is so many seconds ahead of the real time as MACHINE_AHEAD says."""

from __future__ import annotations

import datetime as dt
import os

from klaviyo_assets import clock
from klaviyo_assets.definitions import build_definitions

AHEAD = dt.timedelta(seconds=float(os.environ["MACHINE_AHEAD"]))
clock.machine_time = lambda: dt.datetime.now(dt.UTC) + AHEAD

defs = build_definitions()
