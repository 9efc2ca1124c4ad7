"""What a Postgres server says of itself, and of what its role may do there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.warehouse import Warehouse

OLDEST = 15
"""The oldest version that the tests run on."""

_OWN = ("_sync_state", "_loads", "_columns")

_SERVER = """
    SELECT current_setting('server_version'), CAST(current_setting('server_version_num') AS integer) / 10000,
        CAST(current_user AS text), CAST(current_database() AS text), pg_is_in_recovery(),
        current_setting('default_transaction_read_only') = 'on',
        has_database_privilege(current_database(), 'CREATE'), has_database_privilege(current_database(), 'TEMPORARY')
"""
_SCHEMAS = """
    SELECT CAST(nspname AS text), has_schema_privilege(oid, 'USAGE'), has_schema_privilege(oid, 'CREATE')
    FROM pg_catalog.pg_namespace WHERE nspname = ANY (?)
"""
_NOT_OWNED = """
    SELECT DISTINCT CAST(n.nspname AS text), CAST(c.relname AS text), CAST(pg_get_userbyid(c.relowner) AS text)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (?) AND c.relname = ANY (?) AND c.relkind IN ('r', 'p')
        AND NOT pg_has_role(c.relowner, 'USAGE')
    ORDER BY 1, 2
"""


def look(warehouse: Warehouse, settings: Settings) -> tuple[str, list[str], list[str]]:
    """Ask the server; return its name and version, what keeps a sync from writing, and what is to be said besides.

    Raises WarehouseError if it does not answer.
    """
    with warehouse.session(writes=False) as session:
        ((version, major, role, database, standby, read_only, creates, temporary),) = session.sql(_SERVER)
        problems = []
        if standby:
            problems.append("The server is a standby, which takes no writes: connect to its primary.")
        if not temporary:
            problems.append(_grant("TEMPORARY", f"DATABASE {quote(database)}", role))
        schemas = [settings.schema_name, warehouse.staging_schema]
        problems += _of_schemas(session, schemas, creates, database, role)
        tables = [*(table.name for table in TABLES), *_OWN]
        for schema, table, owner in session.sql(_NOT_OWNED, [schemas, tables])[:1]:
            problems.append(
                f"{role} does not own {schema}.{table}, and perhaps other tables there, and can't add columns: "
                f"GRANT {quote(owner)} TO {quote(role)}, or ALTER TABLE ... OWNER TO {quote(role)} for each."
            )
    warnings = [] if major >= OLDEST else [f"Postgres {version} is older than {OLDEST}, the oldest that is tested."]
    if read_only and settings.models:
        warnings.append(
            f"`default_transaction_read_only` is on for {role}. Syncs write all the same; the models, which dbt "
            f"builds, need ALTER ROLE {quote(role)} SET default_transaction_read_only = off;"
        )
    return f"Postgres {version}", problems, warnings


def _of_schemas(session: Session, schemas: Sequence[str], creates: bool, database: str, role: str) -> Iterator[str]:
    there = {name: {"USAGE": uses, "CREATE": makes} for name, uses, makes in session.sql(_SCHEMAS, [list(schemas)])}
    if not creates and (missing := [schema for schema in schemas if schema not in there]):
        names = " and ".join(missing)
        yield f"{_grant('CREATE', f'DATABASE {quote(database)}', role)} Or make its schemas for it: {names}."
    for schema, rights in there.items():
        if lacking := [right for right, has in rights.items() if not has]:
            yield _grant(", ".join(lacking), f"SCHEMA {quote(schema)}", role)


def _grant(rights: str, of: str, role: str) -> str:
    return f"{role} lacks a right: GRANT {rights} ON {of} TO {quote(role)};"
