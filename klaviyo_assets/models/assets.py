"""The models as assets: one for each dbt model, and the report."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.assets.advice import advised
from klaviyo_assets.assets.code import references, version_of
from klaviyo_assets.assets.described import DescribedAssets, enabled_tables, with_own_io_manager
from klaviyo_assets.assets.specs import group_name, io_manager_key, storage
from klaviyo_assets.models.automation import build_models_job, build_models_sensor
from klaviyo_assets.models.foreign import in_the_way
from klaviyo_assets.models.metadata import describe
from klaviyo_assets.models.project import (
    MARTS,
    MARTS_VARIABLE,
    SHOPIFY,
    Model,
    extra_of,
    is_installed,
    read_project,
    variables_with,
)
from klaviyo_assets.models.report.asset import build_report
from klaviyo_assets.models.run import DbtFailed, Result, dbt_build
from klaviyo_assets.models.targets.choosing import target_of
from klaviyo_assets.models.unexplained import NUMBERS, check_numbers, check_spec
from klaviyo_assets.privacy.policy import Action
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.location import kind_of
from klaviyo_assets.warehouse.warehouse import Warehouse

AUTOMATION = (
    dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
)
"""For those who run Dagster's automation sensor instead of `klaviyo_models_sensor`. `eager()` would wait until every
day of EVENT since 2012 has been materialized."""


ESSENTIAL = ("campaign_id", "flow_id", "person_id", "type")
"""Columns of EVENT without which the models would be full of zeros."""


class ModelsConfig(dg.Config):
    """How the models are built."""

    full_refresh: bool = Field(
        default=False,
        description="Build klaviyo__events anew from all events. Needed after a change of variables, such as another "
        "lookback or another pass-through column.",
    )


def build_models(described: DescribedAssets, executor: dg.ExecutorDefinition) -> dg.Definitions:
    """Return the assets, checks, job and sensor of the models; nothing if they are turned off or not installed.

    executor: of the job.
    """
    settings = described.settings
    if not settings.models:
        return dg.Definitions()
    kind = kind_of(settings.warehouse)
    if not is_installed(kind):
        dg.get_dagster_logger(__name__).info(
            "There are no models of campaigns, flows and people: "
            f"pip install 'klaviyo-assets[{extra_of(kind)}]' brings them, the setting `models: false` does without."
        )
        return dg.Definitions()
    models = chosen_models(settings)
    specs = model_specs(described, models)
    built = with_own_io_manager(settings, _models(described, models, specs))
    keys = {name: spec.key for name, spec in specs.items()}
    report = build_report(described, models_prefix(settings), models_schema(settings), keys)
    job = build_models_job(settings, [built, report], executor)
    watched = sorted({key for model in models for key in _sources(described, model, own=True).values()})
    return dg.Definitions(assets=[built, report], jobs=[job], sensors=[build_models_sensor(settings, job, watched)])


def models_prefix(settings: Settings) -> str:
    """Return the key prefix of the models."""
    return f"{settings.name}_models"


def models_schema(settings: Settings) -> str:
    """Return the schema that the models go to."""
    return f"{settings.schema_name}_models"


def chosen_models(settings: Settings) -> list[Model]:
    """Return the models that the settings ask for."""
    left_out = {
        *(() if settings.shopify_schema else (SHOPIFY,)),
        *(() if variables_with(settings.model_variables)[MARTS_VARIABLE] else (MARTS,)),
    }
    return [model for model in read_project() if model.group not in left_out]


def dbt_variables(settings: Settings) -> dict[str, Any]:
    """Return the dbt variables; those of the setting `model_variables` win."""
    is_told = settings.privacy.policy(table("event")).action("property_attribution") is Action.KEEP
    return {
        "klaviyo_schema": settings.schema_name,
        **({} if is_told else {"using_native_attribution": False}),
        **({"shopify_schema": settings.shopify_schema} if settings.shopify_schema else {}),
        **settings.model_variables,
    }


def hidden(settings: Settings) -> list[str]:
    """Return what of EVENT the models can't do without, but the settings hide; each with the setting that does."""
    policy = settings.privacy.policy(table("event"))
    names = {Action.BLOCK: "blocked_columns", Action.HASH: "hashed_columns"}
    return [f"event.{column} ({names[found]})" for column in ESSENTIAL if (found := policy.action(column)) in names]


def _models(
    described: DescribedAssets, models: Sequence[Model], specs: Mapping[str, dg.AssetSpec]
) -> dg.AssetsDefinition:
    settings = described.settings
    warehouse_key = f"{settings.name}_warehouse"
    names = {spec.key: name for name, spec in specs.items()}
    places = {(models_schema(settings), name): key for key, name in names.items()}
    for model in models:
        places |= _sources(described, model)

    numbers = [check_spec(specs[NUMBERS].key)] if NUMBERS in specs else []

    @dg.multi_asset(
        name=f"{settings.name}__models",
        specs=list(specs.values()),
        check_specs=[
            *(dg.AssetCheckSpec(check, asset=specs[model.name].key) for model in models for check in model.checks),
            *numbers,
        ],
        can_subset=True,
        required_resource_keys={warehouse_key},
        **described.options.of_asset(),
    )
    @described.options.executed
    def build_all(context: dg.AssetExecutionContext, config: ModelsConfig) -> Iterator[Any]:
        warehouse: Warehouse = getattr(context.resources, warehouse_key)
        if found := hidden(settings):
            raise dg.Failure(
                f"The models need columns that the settings hide: {', '.join(found)}. Take them out of there "
                "(metric.name also hides event.type, campaign_message.campaign_id also event.campaign_id), or do "
                "without the models: `models: false`.",
                allow_retries=False,
            )
        keys, checks = context.selected_asset_keys, context.selected_asset_check_keys
        own = {spec.key for spec in numbers} & checks
        whole = len(keys) == len(names)
        selected = [] if whole else [*(names[key] for key in keys), *(check.name for check in checks - own)]
        with advised():
            target = target_of(warehouse, kind_of(settings.warehouse), models_schema(settings))
            built = [model for model in models if whole or model.name in selected]
            with warehouse.session(writes=False) as session:
                others = in_the_way(session, target.schema, built)
        if others:
            raise dg.Failure(
                f"A build would replace what is none of these models: {', '.join(others)}. Rename it, or move it to "
                "another schema, or do without the models: `models: false`.",
                allow_retries=False,
            )
        build = partial(
            dbt_build,
            target,
            select=selected,
            variables=dbt_variables(settings),
            full_refresh=config.full_refresh,
            cache=Path(context.instance.storage_directory()) / models_prefix(settings),
            log=context.log,
        )
        try:
            results = build() if whole or selected else []
        except DbtFailed as error:
            raise dg.Failure(f"dbt could not build the models.\n{error}", allow_retries=False) from None
        with warehouse.session(writes=False) as session:
            told = describe(
                session,
                target.schema,
                models,
                results,
                places,
                context.log,
                sources=_places(settings, models),
                dialect=target.kind,
            )
            failed = [result for result in results if result.is_failure and result.status != "skipped"]
            is_compared = NUMBERS in told and not any(each.name == NUMBERS and each.is_failure for each in results)
            compared = [check_numbers(session, target.schema, settings, key) for key in own if is_compared]
        by_check = {check.name: check for check in checks}
        for result in results:  # in dbt's order: Dagster wants a model before those that read it
            if result.kind == "test" and result.name in by_check:
                yield _check_result(by_check[result.name], result)
            elif result.name in told and not result.is_failure:
                metadata = {**told[result.name], "seconds": result.seconds}
                yield dg.MaterializeResult(asset_key=specs[result.name].key, metadata=metadata)
        yield from compared
        if failed:
            reasons = "\n".join(f"{result.name}: {result.message or result.status}" for result in failed)
            raise dg.Failure(f"dbt did not build all of the models.\n{reasons}", allow_retries=False)

    return build_all


def model_specs(described: DescribedAssets, models: Sequence[Model]) -> dict[str, dg.AssetSpec]:
    """Return model -> what its asset says of itself."""
    by_name = {model.name: model for model in models}

    def spec(name: str) -> dg.AssetSpec:
        def make() -> dg.AssetSpec:
            model = by_name[name]
            keys = [*(spec(read).key for read in model.reads), *_sources(described, model).values()]
            return _spec(described.settings, model, keys)

        return described.translated("model", name, make)

    return {name: spec(name) for name in by_name}


def _spec(settings: Settings, model: Model, deps: Sequence[dg.AssetKey]) -> dg.AssetSpec:
    return dg.AssetSpec(
        [models_prefix(settings), model.name],
        deps=deps,
        group_name=group_name(settings, "models"),
        description=f"{model.description}\n\n```sql\n{model.sql}```",
        kinds={"dbt", kind_of(settings.warehouse)},
        owners=list(settings.owners),
        automation_condition=AUTOMATION,
        # The columns come with each build: what is said of them here would hide there what they are made of.
        metadata={
            **storage(settings, models_schema(settings), model.name),
            **references(model.file, 1, f"{model.name}: its SQL"),
        },
        code_version=version_of(model.sql),
    ).with_io_manager_key(io_manager_key(settings))


def _sources(described: DescribedAssets, model: Model, *, own: bool = False) -> dict[tuple[str, str], dg.AssetKey]:
    """Return the assets of the tables that a model reads, by schema and name. own: only those of this account."""
    settings = described.settings
    synced = {table.name for table in enabled_tables(settings)}
    found = {
        (settings.schema_name, table): described.key(table)
        for source, table in model.sources
        if source != SHOPIFY and table in synced
    }
    if (shop := settings.shopify_schema) and not own:
        found |= {(shop, table): dg.AssetKey([shop, table]) for source, table in model.sources if source == SHOPIFY}
    return found


def _places(settings: Settings, models: Sequence[Model]) -> set[tuple[str, str]]:
    """Return schema and name of the tables that models read. One that is turned off may be there from before."""
    schemas = {SHOPIFY: settings.shopify_schema}
    return {(schemas.get(source, settings.schema_name), table) for model in models for source, table in model.sources}


def _check_result(check: dg.AssetCheckKey, result: Result) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=result.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata={"rows_that_fail": result.failures},
        description=result.message or None,
    )
