"""What a deployment serves: the account, and sensors that tell a webhook what went wrong."""

import json
import os
import time

import dagster as dg
import requests

from klaviyo_assets import build_definitions


def tell(text: str) -> None:
    """Post a text to ALERT_URL. Raises RuntimeError that does not show the address, which is a secret."""
    if not (url := os.environ.get("ALERT_URL")):
        return
    try:
        requests.post(url, json={"text": text}, timeout=30).raise_for_status()
    except requests.RequestException as error:
        raise RuntimeError(f"The alert did not reach ALERT_URL: {type(error).__name__}") from None


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING)
def run_failed(context: dg.RunFailureSensorContext) -> None:
    """A run failed, or its process died."""
    tell(f"{context.dagster_run.job_name} failed: {context.failure_event.message} (run {context.dagster_run.run_id})")


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS, default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=60
)
def check_failed(context: dg.RunStatusSensorContext) -> None:
    """A run succeeded, and a check of it did not pass."""
    run = context.dagster_run.run_id
    found = context.instance.get_records_for_run(run, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    for check in (record.event_log_entry.dagster_event.asset_check_evaluation_data for record in found):
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
            tell(f"{check.check_name} of {check.asset_key.to_user_string()} failed: {check.description} (run {run})")


@dg.sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=900)
def stale(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tables are older than their freshness policy allows: nothing runs, or nothing of theirs lands. Told once."""
    graph = context.repository_def.asset_graph
    policies = {key: graph.get(key).freshness_policy for key in graph.materializable_asset_keys}
    told, old = set(json.loads(context.cursor or "[]")), set()
    for record in context.instance.get_asset_records([key for key, policy in policies.items() if policy]):
        entry = record.asset_entry
        if entry.last_materialization:
            age = time.time() - entry.last_materialization.timestamp
            if age > policies[entry.asset_key].fail_window.to_timedelta().total_seconds():
                old.add(entry.asset_key.to_user_string())
    if old - told:
        tell(f"Older than they may be: {', '.join(sorted(old - told))}")
    return dg.SensorResult(cursor=json.dumps(sorted(old)))


defs = dg.Definitions.merge(
    build_definitions(),
    dg.Definitions(sensors=[run_failed, check_failed, stale], executor=dg.in_process_executor),
)
