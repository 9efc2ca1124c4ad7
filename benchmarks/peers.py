"""EVENT beside ingestr and Airbyte's connector, through the same HTTPS proxy, in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import click

from benchmarks.cases import history, verify
from benchmarks.measure import Used, measured, run_job
from benchmarks.sandbox import Served, serving
from benchmarks.warehouses import warehouse_in

INSTALLED = Path(".bench-peers")
PEERS = {"ingestr": "ingestr==1.1.22", "source-klaviyo": "airbyte-source-klaviyo==2.13.1"}
DUCKDB = "@duckdb/node-bindings-linux-x64"
EVENTS = 100_000


def install() -> None:
    """Install the peers, each into an environment of its own, and the DuckDB library that ingestr needs (npm)."""
    for command, package in PEERS.items():
        folder = INSTALLED / command
        if not (folder / "bin" / command).exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", package], check=True)
    drivers = INSTALLED / "drivers"
    drivers.mkdir(exist_ok=True)
    if not (drivers / "duckdb.toml").exists():
        packed = subprocess.run(
            ["npm", "pack", "--silent", DUCKDB], cwd=drivers, check=True, capture_output=True, text=True
        )
        subprocess.run(["tar", "xzf", packed.stdout.split()[-1]], cwd=drivers, check=True)
        library = (drivers / "package" / "libduckdb.so").absolute()
        (drivers / "duckdb.toml").write_text(
            'manifest_version = 1\nname = "DuckDB"\nversion = "1.0.0"\n\n[Driver]\nentrypoint = "duckdb_adbc_init"\n\n'
            f'[Driver.shared]\nlinux_amd64 = "{library}"\n'
        )


@contextmanager
def _proxied(served: Served, folder: Path) -> Iterator[dict[str, str]]:
    port = str(urlsplit(served.url).port)
    command = [sys.executable, "-m", "benchmarks.proxy", str(folder), port]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        proxy, ca = f"http://127.0.0.1:{process.stdout.readline().strip()}", str(folder / "ca.pem")
        yield {"HTTPS_PROXY": proxy, "https_proxy": proxy, "REQUESTS_CA_BUNDLE": ca, "SSL_CERT_FILE": ca}
    finally:
        process.stdin.close()
        process.wait()


def _own(served: Served, folder: Path, proxy: dict[str, str]) -> Used:
    settings = {**proxy, "KLAVIYO_API_KEY": "pk_sandbox", "KLAVIYO_API_URL": "https://a.klaviyo.com/api"}
    with warehouse_in(folder, "duckdb") as warehouse:
        used, _ = run_job("klaviyo_backfill", folder, settings, days=history(served), only=["klaviyo/event"])
        verify(warehouse, "event", EVENTS)
    return used


def _ingestr(served: Served, folder: Path, proxy: dict[str, str]) -> Used:
    start, end = history(served)[0], f"{served.now:%Y-%m-%dT%H:%M:%S}"
    command = [str(INSTALLED / "ingestr" / "bin" / "ingestr"), "ingest", "--source-table", "events"]
    command += ["--source-uri", "klaviyo://?api_key=pk_sandbox", "--dest-uri", f"duckdb:///{folder}/ingestr.duckdb"]
    command += ["--dest-table", "dest.events", "--interval-start", start, "--interval-end", end]
    command += ["--extract-parallelism", "20", "--yes", "--progress", "log"]
    drivers = {"ADBC_DRIVER_PATH": str((INSTALLED / "drivers").absolute()), "HOME": str(folder)}
    return measured(command, {**proxy, **drivers}, folder / "ingestr.txt")


def _airbyte(served: Served, folder: Path, proxy: dict[str, str]) -> Used:
    start, _ = history(served)
    (folder / "config.json").write_text(
        json.dumps({"api_key": "pk_sandbox", "start_date": f"{start}T00:00:00Z", "num_workers": 10})
    )
    stream = {"name": "events", "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]}
    configured = {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append"}
    (folder / "catalog.json").write_text(json.dumps({"streams": [configured]}))
    _trust(proxy["SSL_CERT_FILE"])
    program = str((INSTALLED / "source-klaviyo" / "bin" / "source-klaviyo").absolute())
    files = ["--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")]
    return measured([program, "read", *files], proxy, folder / "airbyte.txt")


def _trust(authority: str) -> None:
    """Make Airbyte's environment, and nothing else, trust the proxy: it looks at no variable, but at its own bundle."""
    python = str(INSTALLED / "source-klaviyo" / "bin" / "python")
    bundle = Path(subprocess.check_output([python, "-m", "certifi"], text=True).strip())
    original = bundle.with_suffix(".original")
    if not original.exists():
        original.write_bytes(bundle.read_bytes())
    bundle.write_bytes(original.read_bytes() + Path(authority).read_bytes())


def compare(times: int) -> list[str]:
    """Run each program `times` times, by turns; return a table with ratios to this project."""
    install()
    programs: dict[str, Callable[[Served, Path, dict[str, str]], Used]] = {
        "klaviyo_assets": _own, "ingestr 1.1.22": _ingestr, "airbyte-source-klaviyo 2.13.1 (extract only)": _airbyte
    }  # fmt: skip
    uses: dict[str, list[Used]] = {name: [] for name in programs}
    failed: dict[str, str] = {}
    with serving({"events": EVENTS, "shape": "narrow"}) as served:
        served.tell(latency=0.05)
        for _ in range(times):
            for name, program in programs.items():
                with tempfile.TemporaryDirectory() as folder, _proxied(served, Path(folder)) as proxy:
                    try:
                        uses[name].append(program(served, Path(folder), proxy))
                        click.echo(f"{name}: {uses[name][-1]}")
                    except RuntimeError as error:
                        failed[name] = str(error).splitlines()[-1][:200]
                        click.echo(f"{name}: {error}")
    lines = ["| 100,000 events, 50 ms | wall s | CPU s | peak MB | wall, ours = 1 | CPU, ours = 1 |", "|---" * 6 + "|"]
    own = uses["klaviyo_assets"]
    for name, used in uses.items():
        if not used or not own:
            lines.append(f"| {name} | could not be run: {failed.get(name, '')} | | | | |")
            continue
        wall, cpu, peak = (_middle(used, what) for what in ("wall", "cpu", "peak"))
        ratios = wall / _middle(own, "wall"), cpu / _middle(own, "cpu")
        lines.append(f"| {name} | {wall:.1f} | {cpu:.1f} | {peak:,.0f} | {ratios[0]:.1f} | {ratios[1]:.1f} |")
    click.echo("\n".join(lines))
    return lines


def _middle(uses: list[Used], what: str) -> float:
    return float(median(getattr(use, what) for use in uses))
