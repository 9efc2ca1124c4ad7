"""EVENT beside ingestr and Airbyte's connector, through the same HTTPS proxy, in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import click
import duckdb
import msgspec

from benchmarks.cases import history, verify
from benchmarks.measure import Used, launch, measured, run_job
from benchmarks.sandbox import Served, serving
from benchmarks.warehouses import warehouse_in

INSTALLED = Path(".bench-peers")
PEERS = {"ingestr": "ingestr==1.1.22", "source-klaviyo": "airbyte-source-klaviyo==2.13.1"}
DUCKDB = "@duckdb/node-bindings-linux-x64"
INGESTR, AIRBYTE = "ingestr 1.1.22", "airbyte-source-klaviyo 2.13.1 (extract only)"


@dataclass(frozen=True)
class Comparison:
    """What is read. profiles: ours reads them too, launched as a user does. peers: those that are measured."""

    name: str
    events: int
    shape: str = "narrow"
    latency: float = 0.05
    profiles: int = 0
    peers: tuple[str, ...] = (INGESTR,)


COMPARISONS = (
    Comparison("100,000 events, 50 ms", 100_000, peers=(INGESTR, AIRBYTE)),
    Comparison("100,000 events, ours with 5,000 profiles, 50 ms", 100_000, profiles=5_000),
    Comparison("100,000 wide events, 50 ms", 100_000, shape="wide"),
    Comparison("1,000,000 events, 50 ms", 1_000_000),
    Comparison("1,000,000 events, 200 ms", 1_000_000, latency=0.2),
    Comparison("1,000,000 wide events, 50 ms", 1_000_000, shape="wide"),
)


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


def _own(case: Comparison, served: Served, folder: Path, proxy: dict[str, str]) -> Used:
    settings = {**proxy, "KLAVIYO_API_KEY": "pk_sandbox", "KLAVIYO_API_URL": "https://a.klaviyo.com/api"}
    with warehouse_in(folder, "duckdb") as warehouse:
        if case.profiles:
            used = launch("klaviyo_backfill", folder, settings, days=history(served))
            verify(warehouse, "person", case.profiles)
        else:
            used, _ = run_job("klaviyo_backfill", folder, settings, days=history(served), only=["klaviyo/event"])
        verify(warehouse, "event", case.events)
    return used


def _ingestr(case: Comparison, served: Served, folder: Path, proxy: dict[str, str]) -> Used:
    start, end = history(served)[0], f"{served.now:%Y-%m-%dT%H:%M:%S}"
    command = [str(INSTALLED / "ingestr" / "bin" / "ingestr"), "ingest", "--source-table", "events"]
    command += ["--source-uri", "klaviyo://?api_key=pk_sandbox", "--dest-uri", f"duckdb:///{folder}/ingestr.duckdb"]
    command += ["--dest-table", "dest.events", "--interval-start", start, "--interval-end", end]
    command += ["--extract-parallelism", "20", "--yes", "--progress", "log"]
    drivers = {"ADBC_DRIVER_PATH": str((INSTALLED / "drivers").absolute()), "HOME": str(folder)}
    used = measured(command, {**proxy, **drivers}, folder / "ingestr.txt")
    with duckdb.connect(str(folder / "ingestr.duckdb"), read_only=True) as connection:
        ((found,),) = connection.execute("SELECT count(*) FROM dest.events").fetchall()
    _expect(case, found)
    return used


def _airbyte(case: Comparison, served: Served, folder: Path, proxy: dict[str, str]) -> Used:
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
    used = measured([program, "read", *files], proxy, folder / "airbyte.txt")
    with (folder / "airbyte.txt").open() as output:
        messages = [msgspec.json.decode(line, type=_Message) for line in output if line.startswith("{")]
    _expect(case, len({message.record.data.id for message in messages if message.record}))
    return used


def _expect(case: Comparison, events: int) -> None:
    if events != case.events:
        raise RuntimeError(f"It has {events} events, not {case.events}.")


class _Data(msgspec.Struct):
    id: str


class _Record(msgspec.Struct):
    data: _Data


class _Message(msgspec.Struct):
    record: _Record | None = None


def _trust(authority: str) -> None:
    """Make Airbyte's environment, and nothing else, trust the proxy: it looks at no variable, but at its own bundle."""
    python = str(INSTALLED / "source-klaviyo" / "bin" / "python")
    bundle = Path(subprocess.check_output([python, "-m", "certifi"], text=True).strip())
    original = bundle.with_suffix(".original")
    if not original.exists():
        original.write_bytes(bundle.read_bytes())
    bundle.write_bytes(original.read_bytes() + Path(authority).read_bytes())


HEAD = "| case: program | wall s | CPU s | peak MB | wall, ours = 1 | CPU, ours = 1 |"

_PROGRAMS: dict[str, Callable[[Comparison, Served, Path, dict[str, str]], Used]] = {
    "klaviyo_assets": _own,
    INGESTR: _ingestr,
    AIRBYTE: _airbyte,
}


def compare(times: int, chosen: Sequence[Comparison]) -> list[str]:
    """Run each program of some comparisons `times` times, by turns; return a table with ratios to this project."""
    install()
    lines = [HEAD, "|---" * 6 + "|"]
    for case in chosen:
        lines += _compared(case, times)
    click.echo("\n".join(lines))
    return lines


def _compared(case: Comparison, times: int) -> list[str]:
    uses: dict[str, list[Used]] = {name: [] for name in _PROGRAMS if name == "klaviyo_assets" or name in case.peers}
    failed: dict[str, str] = {}
    with serving({"events": case.events, "shape": case.shape, "profiles": case.profiles}) as served:
        served.tell(latency=case.latency)
        for _ in range(times):
            for name in uses:
                with tempfile.TemporaryDirectory() as folder, _proxied(served, Path(folder)) as proxy:
                    try:
                        uses[name].append(_PROGRAMS[name](case, served, Path(folder), proxy))
                        click.echo(f"{name}: {uses[name][-1]}")
                    except (RuntimeError, duckdb.Error, msgspec.MsgspecError) as error:
                        failed[name] = str(error).splitlines()[-1][:200]
                        click.echo(f"{name}: {error}")
    own = uses["klaviyo_assets"]
    lines = []
    for name, used in uses.items():
        row = f"| {case.name}: {name}"
        if not used or not own:
            lines.append(f"{row} | could not be run: {failed.get(name, '')} | | | | |")
            continue
        wall, cpu, peak = (_middle(used, what) for what in ("wall", "cpu", "peak"))
        ratios = wall / _middle(own, "wall"), cpu / _middle(own, "cpu")
        lost = f" ({times - len(used)} of {times} failed)" if len(used) < times else ""
        lines.append(f"{row} | {wall:.1f}{lost} | {cpu:.1f} | {peak:,.0f} | {ratios[0]:.1f} | {ratios[1]:.1f} |")
    return lines


def _middle(uses: list[Used], what: str) -> float:
    return float(median(getattr(use, what) for use in uses))
