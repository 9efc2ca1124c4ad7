"""The files of `deploy/`: they parse, name what exists, fit together, and the alerts say what they are to say."""

from __future__ import annotations

import configparser
import json
import re
import runpy
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._core.workspace.load import location_origins_from_yaml_paths

from klaviyo_assets.assets.pools import pools, without_limit
from klaviyo_assets.dagster_storage import OpenEventLogStorage
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.command_lines import parse
from klaviyo_assets_tests.documents import DOCUMENTS, blocks

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
EXAMPLE = dict(
    line.split("=", 1) for line in (DEPLOY / "klaviyo.env.example").read_text().splitlines() if line[:1].isalpha()
)
HOME = "/opt/klaviyo"

CHART = {
    "generatePostgresqlPasswordSecret": None,
    "postgresql": dict.fromkeys(("enabled", "postgresqlHost", "postgresqlUsername", "postgresqlDatabase")),
    "dagster-user-deployments": {
        "enabled": None,
        "deployments": {
            "name": None,
            "image": dict.fromkeys(("repository", "tag", "pullPolicy")),
            "dagsterApiGrpcArgs": None,
            "port": None,
            "envSecrets": {"name": None},
            "includeConfigInLaunchedRuns": {"enabled": None},
            "resources": None,
        },
    },
    "runLauncher": {"type": None, "config": {"k8sRunLauncher": {"imagePullPolicy": None}}},
    "dagsterDaemon": {
        "runCoordinator": {
            "enabled": None,
            "type": None,
            "config": {"queuedRunCoordinator": {"maxConcurrentRuns": None}},
        },
        "runMonitoring": dict.fromkeys(("enabled", "freeSlotsAfterRunEndSeconds")),
    },
    "concurrency": {"pools": {"defaultLimit": None}},
    "telemetry": {"enabled": None},
}
"""Values that Dagster's chart has, by the classes of its repository (helm/dagster/schema), as far as they are used."""


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def unknown(values: Any, known: Any, place: str = "") -> Iterator[str]:
    """Places of values that are not known."""
    for each in values if isinstance(values, list) else [values]:
        if known is not None and isinstance(each, dict):
            for key, value in each.items():
                if key not in known:
                    yield f"{place}.{key}"
                else:
                    yield from unknown(value, known[key], f"{place}.{key}")


def test_dagster_takes_the_instance_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    for name in ("dagster.yaml", "systemd/dagster.yaml"):
        (tmp_path / "dagster.yaml").write_text((DEPLOY / name).read_text())
        dagster_instance_config(str(tmp_path))  # raises if a key is wrong
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.event_log_storage, OpenEventLogStorage)
    assert read("dagster.yaml")["storage"]["postgres"]["postgres_url"] == {"env": "DAGSTER_POSTGRES_URL"}


def test_one_process_at_a_time_uses_a_limit_where_runs_are_processes(tmp_path: Path) -> None:
    """By the instance's file on one server; in Kubernetes by the values from which the chart makes that."""
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"concurrency": read("dagster.yaml")["concurrency"]}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert without_limit(pools(Settings()), instance) == []
    values = read("helm-values.yaml")
    assert values["concurrency"]["pools"]["defaultLimit"] == 1
    slots = read("dagster.yaml")["run_monitoring"]["free_slots_after_run_end_seconds"]
    assert values["dagsterDaemon"]["runMonitoring"]["freeSlotsAfterRunEndSeconds"] == slots


def test_the_files_use_what_the_document_says_of_several_machines() -> None:
    document = DOCUMENTS / "production.md"
    text, values = document.read_text(), read("helm-values.yaml")
    _, section, _ = re.split(r"^## (?:Several machines|What was tried)$", text, flags=re.MULTILINE)
    assert f"`{values['runLauncher']['type']}`" in section
    (setting,) = blocks(document, "yaml")
    assert Settings(**yaml.safe_load(setting)).executor == "dagster_k8s:k8s_job_executor"
    said = re.findall(r"concurrency: (\{pools: \{.*?\}\})", text)
    assert len(said) == 2
    for each in map(yaml.safe_load, said):
        assert each["pools"] == read("dagster.yaml")["concurrency"]["pools"]
    jobs = deployed()["defs"].resolve_all_job_defs()
    named = {job.executor_def.name for job in jobs if job.name != "__ASSET_JOB"}
    assert named == {"in_process"}, "a run is a pod"


def test_variables_are_settings_or_are_used() -> None:
    settings = {f"KLAVIYO_{name.upper()}" for name in Settings.model_fields} | {"KLAVIYO_API_KEY", "KLAVIYO_HASH_SALT"}
    files = [file for file in DEPLOY.rglob("*") if file.is_file()]
    text = "".join(file.read_text() for file in files if file.name != "klaviyo.env.example")
    assert set(re.findall(r"\bKLAVIYO_[A-Z_]+", text + " ".join(EXAMPLE))) - settings == set()
    others = {name for name in EXAMPLE if not name.startswith("KLAVIYO_")}
    assert [name for name in others if name not in text and name != "POSTGRES_PASSWORD"] == []
    address = "postgresql://{POSTGRES_USER}:{POSTGRES_PASSWORD}@postgres/{POSTGRES_DB}".format(**EXAMPLE)
    assert EXAMPLE["KLAVIYO_WAREHOUSE"] == EXAMPLE["DAGSTER_POSTGRES_URL"] == address
    assert "*.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_commands_and_files_that_are_named_exist() -> None:
    services = read("docker-compose.yml")["services"]
    lines = [service["command"] for service in services.values() if "command" in service]
    units = sorted((DEPLOY / "systemd").glob("*.service"))
    for unit in units:
        parser = configparser.ConfigParser(strict=False)
        parser.optionxform = str  # type: ignore[method-assign, assignment]
        parser.read(unit)
        service = parser["Service"]
        assert service["Environment"] == f"DAGSTER_HOME={service['WorkingDirectory']}"
        assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}", "it can be written to"
        lines.append(service["ExecStart"])
    assert len(lines) == len(units) + 2 == 4
    start = json.loads(re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[0])
    for line in [*lines, " ".join(start)]:
        assert parse(line), line
    copied = [word for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()]
    assert all((ROOT / file).exists() for file in copied if not file.startswith("dist/"))
    (extras,) = re.findall(r"\[([\w,-]+)\]\"", DOCKERFILE)
    assert set(extras.split(",")) <= set(metadata("klaviyo-assets").get_all("Provides-Extra") or ())
    (origin,) = location_origins_from_yaml_paths([str(DEPLOY / "workspace.yaml")])
    assert origin.location_name == "klaviyo"
    build = read("docker-compose.yml")["x-dagster"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"


def test_the_chart_has_these_values_and_the_image_these_files() -> None:
    values = read("helm-values.yaml")
    assert list(unknown(values, CHART)) == []
    assert list(unknown({"runLauncher": {"kind": 1}}, CHART)) == [".runLauncher.kind"]
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["dagsterApiGrpcArgs"] == ["-f", f"{HOME}/definitions.py"]
    assert f"WORKDIR {HOME}\n" in DOCKERFILE and str(deployment["port"]) in DOCKERFILE
    assert deployment["image"]["tag"] == metadata("klaviyo-assets")["Version"]


def test_dagster_plus_takes_its_files() -> None:
    models = pytest.importorskip("dagster_cloud_cli.config.models", reason="dagster-dg-cli is not installed")
    text = (DEPLOY / "dagster_plus" / "dagster_cloud.yaml").read_text()
    (location,) = models.load_dagster_cloud_yaml(text).locations
    assert (location.working_directory, location.code_source.python_file) == (HOME, "definitions.py")
    assert read("dagster_plus/build.yaml").keys() == {"registry", "directory"}
    assert read("dagster_plus/container_context.yaml")["k8s"]["env_secrets"] == ["klaviyo"]


# Alerts

ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE)


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What a webhook was told; its address is in `ALERT_URL`."""
    texts: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Webhook) as server, pytest.MonkeyPatch.context() as patch:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        patch.setenv("ALERT_URL", f"http://127.0.0.1:{server.server_port}/secret")
        yield texts
        server.shutdown()
        thread.join()


def deployed() -> dict[str, Any]:
    return runpy.run_path(str(DEPLOY / "definitions.py"))


@dg.op
def breaks() -> None:
    raise ValueError("broken")


@dg.job
def broken() -> None:
    breaks()


@dg.asset
def table() -> None: ...


@dg.asset_check(asset="table")
def integrity() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="keys are missing")


@dg.asset_check(asset="table")
def hint() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)


def test_alerts_tell_of_failed_runs_and_checks(told: list[str]) -> None:
    code = deployed()
    dg.Definitions.validate_loadable(code["defs"])
    with dg.DagsterInstance.ephemeral() as instance:

        def sense(sensor: str, result: dg.ExecuteInProcessResult) -> None:
            (ended,) = (event for event in result.all_events if event.event_type in ENDS)
            context = dg.build_run_status_sensor_context(sensor, ended, instance, result.dagster_run)
            code[sensor](context.for_run_failure() if sensor == "run_failed" else context)

        failed = broken.execute_in_process(instance=instance, raise_on_error=False)
        sense("run_failed", failed)
        assert told.pop().startswith("broken failed: ") and not told
        sense("check_failed", dg.materialize([table, integrity, hint], instance=instance))
    (text,) = told
    assert text.startswith("integrity of table failed: keys are missing (run ")


def test_alerts_tell_once_of_tables_that_are_too_old(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code = deployed()
    repository = code["defs"].get_repository_def()
    cursor: str | None = None
    with dg.DagsterInstance.ephemeral() as instance:

        def sense() -> list[str]:
            nonlocal cursor
            context = dg.build_sensor_context(instance, cursor=cursor, repository_def=repository)
            cursor = code["stale"].evaluate_tick(context).cursor
            said = told.copy()
            told.clear()
            return said

        assert sense() == [], "nothing has been synced yet"
        for name in ("event", "campaign"):
            instance.report_runless_asset_event(dg.AssetMaterialization(["klaviyo", name]))
        assert sense() == []
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 3 * 3600)  # the schedule has not run for three hours
        assert sense() == ["Older than they may be: klaviyo/event"]
        assert sense() == [], "once"


def test_an_alert_that_fails_does_not_show_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_URL", "http://127.0.0.1:9/secret")
    with pytest.raises(RuntimeError, match="did not reach ALERT_URL: ConnectionError") as caught:
        deployed()["tell"]("anything")
    assert caught.value.__suppress_context__ and "secret" not in str(caught.value)
    monkeypatch.delenv("ALERT_URL")
    deployed()["tell"]("anything")
