"""What a project may decide about the steps of an account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar, cast

import dagster as dg

Results = Iterator[Any]
Body = TypeVar("Body", bound=Callable[..., Results])
Execute = Callable[[dg.AssetExecutionContext, Results], Results]


@dataclass(frozen=True)
class StepOptions:
    """What a project may decide about the steps of an account.

    tags: of the steps. pool: whose limit in the Dagster instance counts for them; by default each has that of what it
    reads (`pools`). backfill_policy: of EVENT and PERSON.
    execute: runs a step. It is given the step's context, and its results, which come about as they are taken.

    Example:
        >>> from klaviyo_assets import Settings, build_definitions
        >>> definitions = build_definitions(Settings(), options=StepOptions(pool="klaviyo", tags={"team": "growth"}))
        >>> definitions.resolve_assets_def(["klaviyo", "metric"]).op.pool
        'klaviyo'
    """

    tags: Mapping[str, Any] = field(default_factory=dict)
    pool: str | None = None
    backfill_policy: dg.BackfillPolicy = field(default_factory=dg.BackfillPolicy.single_run)
    execute: Execute | None = None

    def of_asset(self, pool: str | None = None, **tags: str) -> dict[str, Any]:
        """Return arguments of `dg.multi_asset`. pool: that the step has if no other is given. tags: that it needs."""
        return {"op_tags": {**self.tags, **tags}, "pool": self.pool or pool}

    def of_op(self, **tags: str) -> dict[str, Any]:
        """Return arguments of `dg.op`. tags: that the step needs, whatever the project decides."""
        return {"tags": {**self.tags, **tags}, "pool": self.pool}

    def executed(self, body: Body) -> Body:
        """Return the function of a step as `execute` runs it."""
        execute = self.execute
        if execute is None:
            return body

        @wraps(body)
        def step(context: dg.AssetExecutionContext, *args: Any, **kwargs: Any) -> Results:
            yield from execute(context, body(context, *args, **kwargs))

        return cast(Body, step)
