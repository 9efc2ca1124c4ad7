"""Vega-Lite to SVG, in a process of its own: a renderer in native code may end its process without an exception."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

_PATIENCE = 600
"""Seconds for all pictures; they take about two."""


class NotDrawn(Exception):
    """The renderer failed; the message is its own, as far as it had one."""


def draw(charts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return name -> SVG. charts: name -> Vega-Lite specification. Raises NotDrawn."""
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-P", __file__],
            input=json.dumps(charts).encode(),
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotDrawn(f"the renderer did not end within {_PATIENCE} seconds") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise NotDrawn(f"the renderer ended with {done.returncode}: {said[-1] if said else 'it said nothing'}")
    return dict(json.loads(done.stdout))


def main() -> None:
    """Read charts from standard input, and write name -> SVG to standard output."""
    import vl_convert

    charts = json.load(sys.stdin)
    json.dump({name: vl_convert.vegalite_to_svg(chart) for name, chart in charts.items()}, sys.stdout)


if __name__ == "__main__":
    main()
