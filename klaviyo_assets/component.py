"""An account as a Dagster component: `defs.yaml` holds its settings."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from functools import cached_property
from types import ModuleType
from typing import Annotated, Any

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from dagster.components.resolved.core_models import (
    MultiRunBackfillPolicyModel,
    SingleRunBackfillPolicyModel,
    resolve_backfill_policy,
)
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import BaseModel, ByteSize, ConfigDict, Field, create_model

from klaviyo_assets.assets.options import StepOptions
from klaviyo_assets.assets.translator import DagsterKlaviyoTranslator, KlaviyoAssetProps
from klaviyo_assets.build import build_definitions
from klaviyo_assets.settings import Settings, require_distinct
from klaviyo_assets.settings.sources import DEFAULT_FILE, SECRETS, public_name

_VARIABLE = re.compile(r"""\{\{\s*env(?:\.(\w+)|\(\s*(["'])(\w+)\2\s*\))\s*\}\}""")

_IN_YAML: dict[Any, Any] = {
    dt.date | None: str | None,
    dt.timedelta: str | float,
    tuple[str, ...]: list[str],
    ByteSize | None: str | int | None,
}
"""Types that Dagster does not resolve -> what the settings take as well."""

_NUMBER_OR_TEXT = ("rate_share",)

_MAY_HOLD_SECRETS = ("warehouse", "rate_limits")
"""Addresses: the variable counts, not what it holds."""


def _variable(context: dg.ResolutionContext, value: Any) -> Any:
    """Return the variable that a template names, in the place of what it holds."""
    found = _VARIABLE.fullmatch(value.strip()) if isinstance(value, str) else None
    return dg.EnvVar(found[1] or found[3]) if found else context.resolve_value(value)


def _attributes() -> dict[str, Any]:
    """Return the settings as attributes; what is given is checked by the settings themselves."""
    found: dict[str, Any] = {}
    for name in SECRETS:
        variable = f"KLAVIYO_{name.upper()}"
        found[name] = (
            _kept(f"The variable that holds it, `{{{{ env.{variable} }}}}`: it is read when a run needs it."),
            Field(default=None),
        )
    for name, field in Settings.model_fields.items():
        default, public = field.get_default(call_default_factory=True), public_name(name)
        kind: Any = str | float if name in _NUMBER_OR_TEXT else _IN_YAML.get(field.annotation, field.annotation)
        found[name] = (
            _kept(field.description) if name in _MAY_HOLD_SECRETS else Annotated[kind, _described(field.description)],
            Field(
                default=default if isinstance(default, bool | int | float | str) else None,
                alias=public if public != name else None,
            ),
        )
    return found


def _described(description: str | None) -> dg.Resolver:
    resolver: dg.Resolver = dg.Resolver.default(description=description)
    return resolver


def _kept(description: str | None) -> Any:
    """Return the type of an attribute of which the variable counts, not what it holds."""
    return Annotated[
        Any, dg.Resolver(_variable, model_field_type=str, inject_before_resolve=False, description=description)
    ]


_Settings: Any = create_model("_Settings", __base__=dg.Model, **_attributes())


class KlaviyoOp(dg.Model, dg.Resolvable):
    """How the steps of an account run."""

    tags: Annotated[dict[str, Any], _described("Tags of the steps.")] = Field(default_factory=dict)
    pool: Annotated[str | None, _described("Pool whose limit in the Dagster instance counts for the steps.")] = None
    backfill_policy: Annotated[
        dg.BackfillPolicy | None,
        dg.Resolver(
            resolve_backfill_policy,
            model_field_type=SingleRunBackfillPolicyModel | MultiRunBackfillPolicyModel,
            description="How a backfill of days of event and person is cut into runs. Default: one run.",
        ),
    ] = None


_MORE = """
  # Any other setting may stand here, too: `klaviyo-assets settings --example` prints all of them.
  # sync_interval: PT30M
  # translation:
  #   key_prefix: raw
  #   group_name: "klaviyo_{{ props.kind }}"
  #   tags: {team: growth}
  # op:
  #   pool: klaviyo
  #   tags: {team: growth}
"""
"""What may be added to a `defs.yaml`."""


def _name(folder: str) -> str:
    """Return the name of an account whose component is in a folder."""
    name = re.sub("[^a-z0-9]+", "_", folder.lower()).strip("_")
    return name if name[:1].isalpha() else f"klaviyo_{name}".rstrip("_")


class KlaviyoScaffoldParams(BaseModel):
    """What `dg scaffold defs klaviyo_assets.KlaviyoComponent` can be told."""

    name: str | None = Field(
        default=None, description="Prefix of asset keys and jobs. Default: the name of the folder."
    )
    db_schema: str | None = Field(default=None, description="Schema of the tables in the warehouse. Default: the name.")
    warehouse: str = Field(
        default=DEFAULT_FILE,
        description="The warehouse: a DuckDB file, `md:name`, `postgresql://user@host/database`, `service=name`, "
        "`snowflake://user@account/database`, `connection=name`, `bigquery://project?location=EU` or "
        "`clickhouse://user@host`.",
    )
    api_key_variable: str = Field(
        default="KLAVIYO_API_KEY", description="Name of the environment variable that holds the private API key."
    )


class KlaviyoScaffolder(dg.Scaffolder[KlaviyoScaffoldParams]):
    """Writes the `defs.yaml` of an account."""

    @classmethod
    def get_scaffold_params(cls) -> type[KlaviyoScaffoldParams]:
        """Return what can be told."""
        return KlaviyoScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[KlaviyoScaffoldParams]) -> None:
        """Write the file."""
        params = request.params
        name = params.name or _name(request.target_path.name)
        attributes = {
            "name": name,
            "schema": params.db_schema or name,
            "warehouse": params.warehouse,
            "api_key": f"{{{{ env.{params.api_key_variable} }}}}",
        }
        scaffold_component(request, attributes)
        if request.scaffold_format == "yaml":
            file = request.target_path if request.append else request.target_path / "defs.yaml"
            with file.open("a", encoding="utf-8") as written:
                written.write(_MORE)


@dg.scaffold_with(KlaviyoScaffolder)
class KlaviyoComponent(dg.Component, _Settings, dg.Resolvable):  # type: ignore[misc]
    """A Klaviyo account in your own warehouse: its attributes are the settings.

    Secrets are named, not given: `api_key: "{{ env.KLAVIYO_API_KEY }}"` is read when a run needs it, and is in no
    definition. What is not given comes from the environment or the settings file, as without a component. Several
    instances are several accounts, each with a `name` and a `schema` of its own.

    `translation` decides keys, groups, tags and what else the assets say of themselves: `props` has the `kind` and the
    `name` of an asset, `spec` what it says otherwise. `op` gives steps tags and a pool.

    Example:
        >>> component = KlaviyoComponent.resolve_from_yaml('''
        ... name: shop
        ... schema: klaviyo_shop
        ... api_key: "{{ env.KLAVIYO_KEY_SHOP }}"
        ... translation:
        ...   group_name: "shop_{{ props.kind }}"
        ...   key_prefix: raw
        ... ''')
        >>> component.settings.api_key_variable
        'KLAVIYO_KEY_SHOP'
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    op: Annotated[KlaviyoOp | None, _described("Tags and pool of the steps, and how backfills are cut into runs.")] = (
        None
    )
    translation: Annotated[
        TranslationFn[KlaviyoAssetProps] | None, TranslationFnResolver(lambda props: {"props": props})
    ] = None

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Describe the component for the list of components."""
        return dg.ComponentTypeSpec(description=(cls.__doc__ or "").split("\n")[0], tags=["klaviyo", "integration"])

    @cached_property
    def settings(self) -> Settings:
        """The settings of the account. Raises SettingsError if they are wrong."""
        given = self.model_fields_set & _Settings.model_fields.keys()
        return Settings(**{public_name(name): getattr(self, name) for name in given})

    def get_asset_spec(self, props: KlaviyoAssetProps) -> dg.AssetSpec:
        """Return what an asset says of itself; to be overridden. The attribute `translation` has the last word."""
        return DagsterKlaviyoTranslator().get_asset_spec(props)

    def execute(self, context: dg.AssetExecutionContext, results: Iterator[Any]) -> Iterator[Any]:
        """Run a step that makes assets; to be overridden, to do something before or after it.

        results: what the step gives. It begins when the first one is taken, and each is stored before the next one is.
        """
        yield from results

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the account's assets, checks, jobs, schedules, sensors and resources.

        Raises SettingsError if settings are wrong, and ValueError if two components are one account.
        """
        tree = context.component_tree
        others = tree.get_all_components(KlaviyoComponent) if isinstance(tree.defs_module, ModuleType) else []
        require_distinct([component.settings for component in others])
        op = self.op or KlaviyoOp()
        options = StepOptions(
            tags=op.tags,
            pool=op.pool,
            backfill_policy=op.backfill_policy or dg.BackfillPolicy.single_run(),
            execute=None if type(self).execute is KlaviyoComponent.execute else self.execute,
        )
        return build_definitions(self.settings, translator=_Translator(self), options=options)


class _Translator(DagsterKlaviyoTranslator):
    def __init__(self, component: KlaviyoComponent) -> None:
        self._component = component

    def get_asset_spec(self, props: KlaviyoAssetProps) -> dg.AssetSpec:
        spec = self._component.get_asset_spec(props)
        translation = self._component.translation
        return translation(spec, props) if translation else spec
