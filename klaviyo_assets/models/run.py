"""Running dbt: in a process of its own, so that the warehouse file is free again when it ends, however it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from logging import Logger
from pathlib import Path
from typing import Any

from klaviyo_assets.models.project import PROJECT, read_project
from klaviyo_assets.models.targets.target import Target

FLAGS = ("--log-format", "json", "--no-use-colors", "--no-send-anonymous-usage-stats", "--no-version-check")

_LEVELS = {"debug": 10, "info": 10, "warn": 30, "error": 40}
_RESULTS = ("LogModelResult", "LogTestResult")
_PARTIAL_PARSE = "partial_parse.msgpack"


@dataclass(frozen=True)
class Result:
    """What became of a model or a test.

    status: dbt's word. failures: rows that a test objects to. relation: the quoted name of what a model made. sql: the
    SELECT, with dbt's words replaced; both are empty if dbt did not come so far.
    """

    kind: str
    name: str
    status: str
    message: str
    seconds: float
    failures: int
    relation: str
    sql: str

    @property
    def is_failure(self) -> bool:
        """Whether it failed, or was skipped because something before it failed."""
        return self.status not in ("success", "pass", "warn", "no-op")


class DbtFailed(Exception):
    """dbt did not come as far as its first model; the message is dbt's own."""


def dbt_build(
    target: Target,
    *,
    select: Sequence[str] = (),
    variables: Mapping[str, Any],
    full_refresh: bool = False,
    unit_tests: bool = False,
    cache: Path,
    log: Logger,
) -> list[Result]:
    """Build models and test them; return what became of each, in order.

    select: names of models and tests; default: all models with their tests. unit_tests: also test the project itself.
    cache: a folder in which dbt keeps what it has parsed; dbt itself sees what has changed since. Raises DbtFailed if
    dbt could not begin.
    """
    with tempfile.TemporaryDirectory(prefix="klaviyo_models_") as folder:
        work = Path(folder)
        (work / "profiles.yml").write_text(_as_yaml(target.profile()), encoding="utf-8")
        parsed, kept = work / _PARTIAL_PARSE, cache / _PARTIAL_PARSE
        if kept.exists():
            shutil.copy(kept, parsed)
        arguments = [
            "build",
            *("--project-dir", str(PROJECT), "--profiles-dir", folder, "--target-path", folder, "--log-path", folder),
            *("--vars", _as_yaml(variables)),
            *(() if unit_tests else ("--exclude-resource-type", "unit_test")),
            *(("--select", *select, *_staging(select), "--indirect-selection", "buildable") if select else ()),
            *(("--full-refresh",) if full_refresh else ()),
        ]
        errors = []
        with _dbt(arguments, PROJECT.parent, target.environment()) as lines:
            for line in lines:
                level, message = _log_line(line)
                log.log(level, message)
                if level >= _LEVELS["error"]:
                    errors.append(message)
        if parsed.exists():
            cache.mkdir(parents=True, exist_ok=True)
            beside = cache / f"{_PARTIAL_PARSE}.{os.getpid()}"
            shutil.copy(parsed, beside)
            beside.replace(kept)
        results = work / "run_results.json"
        if not results.exists():
            raise DbtFailed("\n".join(errors) or "dbt ended without a result.")
        return [_result(entry) for entry in json.loads(results.read_text())["results"]]


def _as_yaml(value: Mapping[str, Any]) -> str:
    """Write what YAML reads, which JSON is, but for its escapes: two of them, as an emoji has, would be two halves."""
    return json.dumps(dict(value), ensure_ascii=False)


def _staging(select: Sequence[str]) -> list[str]:
    """Return where the views are that models and tests read: they are gone when a build ends."""
    chosen = set(select)
    groups = {model.group for model in read_project() if chosen & {model.name, *model.checks}}
    folders = ["staging", *sorted(f"{group}/staging" for group in groups)]
    return [f"path:models/{folder}" for folder in folders if (PROJECT / "models" / folder).exists()]


@contextmanager
def _dbt(arguments: Sequence[str], folder: Path, more: Mapping[str, str]) -> Iterator[Iterator[str]]:
    """Run dbt and give the lines that it prints; stop it if the caller does not come to the end.

    more: variables that it gets besides. What the user's own dbt reads from the environment (`DBT_TARGET`, `DBT_EMPTY`
    ...) is not for this one.
    """
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *FLAGS, *arguments],
        cwd=folder,
        env={**{name: value for name, value in os.environ.items() if not name.upper().startswith("DBT_")}, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101
    try:
        yield iter(process.stdout)
        process.wait()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _log_line(line: str) -> tuple[int, str]:
    try:
        info = json.loads(line)["info"]
        level = 20 if info["name"] in _RESULTS and info["level"] == "info" else _LEVELS.get(info["level"], 10)
        return level, info["msg"].strip()
    except (ValueError, TypeError, KeyError):
        return 10, line.strip()


def _result(entry: Mapping[str, Any]) -> Result:
    kind, _, *names = entry["unique_id"].split(".")
    return Result(
        kind=kind,
        name=names[1] if kind == "unit_test" else names[0],  # the model comes before
        status=entry["status"],
        message=entry.get("message") or "",
        seconds=round(entry.get("execution_time") or 0, 3),
        failures=entry.get("failures") or 0,
        relation=entry.get("relation_name") or "",
        sql=entry.get("compiled_code") or "",
    )
