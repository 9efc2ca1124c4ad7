"""The check on why_numbers_differ: how much of Klaviyo's own figures nothing explains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from klaviyo_assets.models.project import TOLERANCE_VARIABLE, variables_with
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.session import Session

NUMBERS = "why_numbers_differ"
CHECK = "numbers_are_explained"
_WORST = 3
"""How many messages are named of each statistic."""


@dataclass(frozen=True)
class Unexplained:
    """What nothing explains of a statistic, of all messages together. figure: the larger of Klaviyo's and ours."""

    statistic: str
    unexplained: float
    figure: float

    @property
    def share(self) -> float:
        """The unexplained part of the figure."""
        return self.unexplained / self.figure if self.figure else 0.0


def check_spec(asset: dg.AssetKey) -> dg.AssetCheckSpec:
    """Return the spec of the check. asset: of the model."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=asset,
        description="Of each statistic of all messages together, no more than the variable "
        f"`{TOLERANCE_VARIABLE}` (a share, 0.05 by default) is unexplained (else a warning).",
    )


def check_numbers(session: Session, schema: str, settings: Settings, check: dg.AssetCheckKey) -> dg.AssetCheckResult:
    """Say how much is unexplained, and of which messages.

    session: a transaction that sees the model. schema: of the models.
    """
    tolerance = variables_with(settings.model_variables)[TOLERANCE_VARIABLE]
    model = session.name(schema, NUMBERS)
    found = [
        Unexplained(statistic, float(unexplained), max(float(klaviyo), float(ours)))
        for statistic, unexplained, klaviyo, ours in session.sql(
            f"SELECT statistic, sum(abs(unexplained)), sum(abs(klaviyo)), sum(abs(ours)) FROM {model} "
            "GROUP BY statistic ORDER BY statistic"
        )
    ]
    beyond = sorted((each for each in found if each.share > tolerance), key=lambda each: -each.share)
    return dg.AssetCheckResult(
        passed=not beyond,
        asset_key=check.asset_key,
        check_name=check.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=_told(found, beyond),
        metadata={
            **{f"unexplained_{each.statistic}": round(each.share, 4) for each in found},
            **_worst(session, model, beyond),
        },
    )


def _told(found: Sequence[Unexplained], beyond: Sequence[Unexplained]) -> str | None:
    if not found:
        return "There is nothing to compare: turn on the tables campaign_report and flow_report, Klaviyo's own figures."
    if not beyond:
        return None
    parts = ", ".join(f"{each.unexplained:,.0f} of {each.figure:,.0f} {each.statistic}" for each in beyond)
    return (
        f"Nothing explains {parts}. Compare the account's settings (Settings, Attribution) with the variables of the "
        "models: docs/numbers.md says how."
    )


def _worst(session: Session, model: str, beyond: Sequence[Unexplained]) -> Mapping[str, Any]:
    """The messages of which most is unexplained, and a query that shows more."""
    if not beyond:
        return {}
    records = [record for each in beyond for record in _messages(session, model, each.statistic)]
    statistics = ", ".join(f"'{each.statistic}'" for each in beyond)
    query = (
        f"SELECT *\nFROM {model}\nWHERE statistic IN ({statistics}) AND unexplained <> 0\n"
        "ORDER BY statistic, abs(unexplained) DESC"
    )
    return {"worst_messages": dg.MetadataValue.table(records), "query": dg.MetadataValue.md(f"```sql\n{query}\n```")}


def _messages(session: Session, model: str, statistic: str) -> Iterator[dg.TableRecord]:
    rows = session.sql(
        "SELECT statistic, message_type, coalesce(message_name, message_id), message_id, ours, klaviyo, unexplained "
        f"FROM {model} WHERE statistic = ? AND unexplained <> 0 "
        f"ORDER BY abs(unexplained) DESC, message_id LIMIT {_WORST}",
        [statistic],
    )
    for row in rows:
        names = ("statistic", "message_type", "message", "message_id", "ours", "klaviyo", "unexplained")
        values = [float(value) if number > 3 else str(value) for number, value in enumerate(row)]
        yield dg.TableRecord(dict(zip(names, values, strict=True)))
