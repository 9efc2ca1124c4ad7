"""The simulated Klaviyo in a process of its own, told by lines on its standard input what to be like.

Each line is a JSON object: `latency` (seconds), `limits` ("off" or "real"), `add_events` (a number, of the last
hour). Each is answered by one line: CPU seconds of this process so far, requests by operation and refusals (429).
"""

from __future__ import annotations

import datetime as dt
import json
import random
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.account import add_events, make_account
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account


def main() -> None:
    """Serve the account that the first argument, a JSON object, describes, until standard input ends."""
    description: dict[str, Any] = json.loads(sys.argv[1])
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    mixed = description.pop("mixed", False)
    account = generate_account(**description, now=now) if mixed else make_account(**description, now=now)
    with Sandbox(account) as sandbox:
        _say({"url": sandbox.url, "now": account.clock.now().isoformat()})
        added = len(account.events)
        for line in sys.stdin:
            wish = json.loads(line)
            if "latency" in wish:
                sandbox.latency = wish["latency"]
            if "limits" in wish:
                sandbox.rate_limits = wish["limits"]
            if count := wish.get("add_events"):
                end, rng = account.clock.now() - dt.timedelta(seconds=90), random.Random(added)
                with account.lock:
                    add_events(account, count, shape="narrow", end=end, days=1 / 24, rng=rng, first=added)
                added += count
            _say(
                {
                    "cpu": time.process_time(),
                    "requests": sandbox.requests.counts(),
                    "refused": Counter(r.status for r in sandbox.requests)[429],
                }
            )


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
