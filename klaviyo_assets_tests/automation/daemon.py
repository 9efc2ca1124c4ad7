"""Dagster's daemon, in process: ticks of the schedule and of the sensor, and the runs that they ask for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import dagster as dg

from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.conftest import Project, failures

Ran = tuple[dg.RunRequest, dg.ExecuteInProcessResult]


class InMemory(dg.ScheduleEvaluationContext):
    """`build_schedule_context` takes no instance without a folder."""

    given: dg.DagsterInstance

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.given


@dataclass
class Daemon:
    """Evaluates the schedule at the sandbox's time. What it asks for is run at once."""

    klaviyo: Project
    cursor: str | None = None
    run_keys: set[str] = field(default_factory=set)

    def tick(self, after: dt.timedelta = dt.timedelta(0)) -> dg.RunRequest | str:
        """Evaluate the schedule; return the request or why there is none. after: since anything was logged."""
        self.klaviyo.ahead = after
        context = InMemory(None, self.klaviyo.account.clock.now() + after, None, None)
        context.given = self.klaviyo.instance
        answer = self.klaviyo.definitions.resolve_schedule_def("klaviyo_sync_schedule")(context)
        return answer if isinstance(answer, dg.RunRequest) else str(answer.skip_message)

    def sync(self) -> dg.RunRequest:
        """Let the schedule tick; its run has to succeed."""
        request = self.tick()
        assert isinstance(request, dg.RunRequest), request
        result = self.launch("klaviyo_sync", request)
        assert result.success, failures(result)
        return request

    def sense(self) -> Ran | str:
        """Let the sensor tick; return what it asked for and how that went, or why it did not."""
        context = dg.build_sensor_context(
            instance=self.klaviyo.instance, cursor=self.cursor, definitions=self.klaviyo.definitions
        )
        answer = self.klaviyo.definitions.resolve_sensor_def("klaviyo_backfill_sensor")(context)
        assert isinstance(answer, dg.SensorResult)
        self.cursor = answer.cursor
        if not answer.run_requests:
            return str(answer.skip_reason.skip_message if answer.skip_reason else "")
        (request,) = answer.run_requests
        assert request.run_key
        if request.run_key in self.run_keys:
            return "This was requested before."
        self.run_keys.add(request.run_key)
        return request, self.launch("klaviyo_backfill", request)

    def backfill(self) -> list[tuple[str, str]]:
        """Let the sensor tick until it has nothing to do; return the ranges that it had read."""
        ranges = []
        while not isinstance(ran := self.sense(), str):
            request, result = ran
            assert result.success, failures(result)
            ranges.append(days(request))
        assert ran == "The history is complete."
        return ranges

    def launch(self, job: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return self.klaviyo.execute(job, request.tags, {}, request.asset_selection and list(request.asset_selection))

    def history(self) -> dict[str, object]:
        """The metadata of the latest materialization of klaviyo/history."""
        return self.metadata("history")

    def metadata(self, asset: str) -> dict[str, object]:
        event = self.klaviyo.instance.get_latest_materialization_event(dg.AssetKey(["klaviyo", asset]))
        assert event and event.asset_materialization
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    def state(self, table: str, scope: str = "") -> SyncState:
        state = self.klaviyo.warehouse.state(table, scope)
        assert state
        return state


def days(request: dg.RunRequest) -> tuple[str, str]:
    """First and last day of a request's range."""
    start, end = (request.tags[f"dagster/asset_partition_range_{name}"] for name in ("start", "end"))
    return start, end
