"""What runs the steps, and what their tags are: settings, for those who have a `defs.yaml` or the environment only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.assets.options import StepOptions
from klaviyo_assets.build import build_definitions
from klaviyo_assets.component import KlaviyoComponent
from klaviyo_assets.settings import Settings, SettingsError


@dg.executor(config_schema={"broker": dg.StringSource})
def elsewhere(_: dg.InitExecutorContext) -> Any:
    """Runs steps on other machines."""


HERE = f"{__name__}:elsewhere"


def executors(definitions: dg.Definitions) -> dict[str, Any]:
    return {job.name: job.executor_def for job in definitions.resolve_all_job_defs() if job.name != "__ASSET_JOB"}


def test_the_jobs_run_with_the_executor_of_the_settings() -> None:
    assert {each.name for each in executors(build_definitions(Settings())).values()} == {"in_process"}
    named = executors(build_definitions(Settings(executor="multiprocess", executor_config={"max_concurrent": 2})))
    assert {each.name for each in named.values()} == {"multiprocess"}
    given = build_definitions(Settings(executor="multiprocess"), executor=dg.in_process_executor)
    assert {each.name for each in executors(given).values()} == {"in_process"}, "what is given in Python counts"
    config = {"broker": {"env": "BROKER"}}
    found = executors(build_definitions(Settings(executor=HERE, executor_config=config)))
    assert len(found) >= 5 and {each.name for each in found.values()} == {"elsewhere"}


def test_a_module_that_fails_when_it_is_imported_is_named_with_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name, text, said in (("raises", "1 / 0", "ZeroDivisionError: division by zero"), ("no_python", "(", "Syntax")):
        (tmp_path / f"{name}.py").write_text(text)
        with pytest.raises(SettingsError, match=rf"`executor` names {name}:x, and {name} can't be imported \({said}"):
            build_definitions(Settings(executor=f"{name}:x"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"executor": "celery"}, "`module:name`"),
        ({"executor": "no_such_module:x"}, "names no_such_module:x, and No module named 'no_such_module'"),
        ({"executor": f"{__name__}:nothing"}, "has no nothing"),
        ({"executor": f"{__name__}:HERE"}, "which is no executor of Dagster"),
        ({"executor": HERE, "executor_config": {"brokr": "x"}}, "`executor_config` is wrong"),
    ],
)
def test_what_is_no_executor_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        build_definitions(Settings(**given))


def test_every_step_has_the_tags_of_the_settings() -> None:
    pod = {"container_config": {"resources": {"limits": {"memory": "2Gi"}}}}
    attributes = {"name": "shop", "op_tags": {"team": "data", "dagster-k8s/config": pod, "dagster/priority": 7}}
    component = KlaviyoComponent.resolve_from_yaml(json.dumps(attributes))
    definitions = build_definitions(component.settings, options=StepOptions(tags={"team": "growth"}))
    jobs = [job for job in definitions.resolve_all_job_defs() if job.name != "__ASSET_JOB"]
    steps = [node for job in jobs for node in job.all_node_defs]
    assert len(steps) > 40
    for step in steps:
        assert step.tags["team"] == "growth", "what is given in Python counts"
        assert json.loads(step.tags["dagster-k8s/config"]) == pod
        last = {"shop__history": "-1000", "shop__checks": "-900"}
        assert step.tags["dagster/priority"] == last.get(step.name, "7"), "these two come last, whatever is wanted"
