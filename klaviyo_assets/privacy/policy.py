"""Blocked and hashed columns: what of a table is written, and how.

A policy names columns or patterns (`custom_*phone*`). It travels with the table's spec, and is applied where columns
are spooled, so that nothing that it hides is ever on disk.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from klaviyo_assets import environment
from klaviyo_assets.privacy.packing import PACKED, Packing, packed_table
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.decoding import FAILURES, decoded
from klaviyo_assets.schema.spec import Type, overflow_of
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE, json_text
from klaviyo_assets.tables.events import VALUE, VALUE_TEXT
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.tables.table import Table

DIGEST = "hmac-sha256:"
"""How a digest begins, so that a value that is one already is left as it is."""

DIGEST_PATTERN = DIGEST + "[0-9a-f]{64}"

SALT_VARIABLE = "KLAVIYO_HASH_SALT"

HASHED_NAME = re.compile(r"_[0-9a-f]{8,64}$")
"""The end of a column's name that two properties share, or that was cut."""

_DIGEST = re.compile(DIGEST_PATTERN)
_JSON_TEXT = (msgspec.Raw, bytes)
_string = msgspec.json.Decoder(str).decode
_properties = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Action(enum.Enum):
    """What happens to a column."""

    KEEP = "keep"
    BLOCK = "block"
    HASH = "hash"


class MissingSalt(Exception):
    """Columns are to be hashed, and the environment has no salt."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"`hashed_columns` needs a secret salt: set the environment variable {variable} to a long random text, and "
            "keep it. With another salt the same values get other digests."
        )


def salt(variable: str) -> bytes:
    """Return the secret salt; raises MissingSalt."""
    value = environment.get(variable)
    if not value:
        raise MissingSalt(variable)
    return value.encode("utf-8", "surrogateescape")


def is_digest(value: Any) -> bool:
    """Return whether a value is a digest already."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def digest(text: str, key: bytes) -> str:
    """Return the digest of a text; a digest stays what it is."""
    if text.startswith(DIGEST) and is_digest(text):
        return text
    return DIGEST + hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()


@dataclass(frozen=True)
class ColumnPolicy:
    """What happens to the columns of a table; blocked wins over hashed.

    blocked, hashed: names or patterns. salt_variable: the environment variable with the secret salt, which is read
    when the first value is hashed. packing: how the table's properties lie in one JSON column; if they do so now
    (`packs`), patterns speak of the properties, and of the column itself only its full name.
    """

    blocked: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    salt_variable: str = SALT_VARIABLE
    packing: Packing | None = None
    packs: bool = False
    _actions: dict[str, Action] = field(default_factory=dict, init=False, repr=False, compare=False)
    _keys: dict[tuple[str, ...], list[tuple[str, Action]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def action(self, column: str) -> Action:
        """Return what happens to a column.

        A column that got a hash in its name, because two properties share a name, is treated as the one without; so
        is property_value_text, which holds what of property_value is no number, as property_value.
        """
        found = self._actions.get(column)
        if found is None:
            found = self._actions[column] = self._find(column)
        return found

    def _find(self, column: str) -> Action:
        names = {column, HASHED_NAME.sub("", column)}
        if VALUE_TEXT in names:
            names.add(VALUE)
        exactly = column == self._overflow or (self.packs and column in self.json_columns)
        for patterns, action in ((self.blocked, Action.BLOCK), (self.hashed, Action.HASH)):
            if any(
                name == pattern if exactly else fnmatchcase(name, pattern) for name in names for pattern in patterns
            ):
                return action
        return Action.KEEP

    def blocks(self, column: str) -> bool:
        """Return whether a column is blocked."""
        return self.action(column) is Action.BLOCK

    def hashes(self, column: str) -> bool:
        """Return whether a column is hashed."""
        return self.action(column) is Action.HASH

    @property
    def json_columns(self) -> tuple[str, ...]:
        """The columns that hold packed properties, and those that a table has no room for; now, or in earlier times."""
        return (self.packing.column, overflow_of(self.packing.prefix)) if self.packing else ()

    @property
    def _overflow(self) -> str | None:
        return overflow_of(self.packing.prefix) if self.packing else None

    @property
    def fingerprint(self) -> str:
        """A short text that is another one for another policy."""
        told = repr((sorted(self.blocked), sorted(self.hashed), self.packs, self.json_columns))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def blocks_every(self, prefix: str) -> bool:
        """Return whether every column that begins with `prefix` is blocked, whatever comes after it."""
        return any(pattern in ("*", f"{prefix}*") for pattern in self.blocked)

    def apply(self, columns: Columns) -> Columns:
        """Return the columns without the blocked ones, with digests in the hashed ones."""
        sparse = {name: values for name, values in columns.sparse.items() if self.action(name) is Action.KEEP}
        hashed = columns.texts([name for name in columns.sparse if self.action(name) is Action.HASH])
        return Columns(
            columns.rows,
            self._applied(columns.declared, lambda text: text),
            self._applied({**columns.dynamic, **hashed}, lambda text: b'"%s"' % text.encode()),
            sparse,
            columns.texts,
        )

    def _applied(self, columns: Mapping[str, list[Any]], encode: Callable[[str], Any]) -> dict[str, list[Any]]:
        applied: dict[str, list[Any]] = {}
        for name, values in columns.items():
            action = self.action(name)
            if action is Action.KEEP:
                applied[name] = values
            elif action is Action.HASH:
                key = salt(self.salt_variable)
                texts = map(text_to_hash, values)
                applied[name] = [None if text is None else encode(digest(text, key)) for text in texts]
        return applied

    def packed(self, properties: Mapping[str, msgspec.Raw]) -> bytes | None:
        """Return properties as one JSON object, without the blocked ones, with digests of the hashed ones."""
        if self.packing is None:
            raise ValueError("the table has no properties")
        keys = tuple(properties)
        plan = self._keys.get(keys)
        if plan is None:
            names = self.packing.column_names(keys)
            plan = [(key, self.action(names[key])) for key in keys if key in names]
            if len(self._keys) < 4096:
                self._keys[keys] = plan
        return self._object(properties, plan)

    def _object(self, members: Mapping[str, msgspec.Raw], plan: Iterable[tuple[str, Action]]) -> bytes | None:
        kept: dict[str, Any] = {}
        for key, action in plan:
            if action is Action.KEEP:
                kept[key] = members[key]
            elif action is Action.HASH:
                text = text_to_hash(members[key])
                kept[key] = None if text is None else digest(text, salt(self.salt_variable))
        return msgspec.json.encode(kept) if kept else None

    # Values that are there already

    @property
    def digest_pattern(self) -> str:
        """A regular expression that digests match."""
        return DIGEST_PATTERN

    def digest(self, text: str) -> str:
        """Return the digest of a text; raises MissingSalt."""
        return digest(text, salt(self.salt_variable))

    def apply_to_json(self, column: str, text: str) -> str | None:
        """Return a value of one of the `json_columns` as it would be written now; no JSON object stays as it is."""
        members = _object(text)
        if members is None:
            return text
        names = self._names(column, members)
        found = self._object(members, [(key, self.action(names[key])) for key in members if key in names])
        return found.decode() if found else None

    def is_old_json(self, column: str, text: str) -> bool:
        """Return whether a value of one of the `json_columns` holds what would not be written now."""
        members = _object(text) or {}
        for key, name in self._names(column, members).items():
            value = text_to_hash(members[key])
            if self.blocks(name) or (self.hashes(name) and value is not None and not is_digest(value)):
                return True
        return False

    def _names(self, column: str, members: Mapping[str, msgspec.Raw]) -> Mapping[str, str]:
        """Return member -> the column that it would have; members of the overflow column are called as these are."""
        if self.packing is None or column == self._overflow:
            return {key: key for key in members}
        return self.packing.column_names(members)


def _object(text: str) -> dict[str, msgspec.Raw] | None:
    try:
        return decoded(_properties, text.encode())
    except FAILURES:
        return None


def text_to_hash(value: Any) -> str | None:
    """Return the text that is hashed: of JSON text its string, or the JSON itself of what is no string.

    None and JSON null have none. A number of a declared column that is whole has no `.0`.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, _JSON_TEXT):
        content = bytes(value)
        if content[:1] == b'"':
            return _string(content)
        return None if content == b"null" else content.decode()
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_IN_DOUBLE:
        value = int(value)
    return json_text(value)


@dataclass(frozen=True)
class Privacy:
    """What the user wants hidden: table -> names or patterns of its columns; and whether properties are packed."""

    blocked: Mapping[str, tuple[str, ...]]
    hashed: Mapping[str, tuple[str, ...]]
    salt_variable: str = SALT_VARIABLE
    packed: bool = False
    takes_new_columns: bool = True

    def table(self, table: Table) -> Table:
        """Return a table as it is written: without blocked columns and their lookups, hashed ones as text."""
        policy = self.policy(table)
        if policy.packs and policy.packing:
            table = packed_table(table, policy.packing)
        if not self.takes_new_columns:
            table = replace(table, takes_new_columns=False)
        if not policy.packs and not policy.blocked and not policy.hashed:
            return table
        kept = [column for column in table.columns if policy.action(column.name) is not Action.BLOCK]
        return replace(
            table,
            policy=policy,
            columns=tuple(
                replace(column, type=Type.TEXT, description=f"{column.description} Hashed.".strip())
                if policy.action(column.name) is Action.HASH
                else column
                for column in kept
            ),
            foreign_keys=tuple(key for key in table.foreign_keys if policy.action(key.column) is Action.KEEP),
            lookups=tuple(
                lookup for lookup in table.lookups if not policy.blocks(lookup.on) and not policy.blocks(lookup.column)
            ),
        )

    def policy(self, table: Table) -> ColumnPolicy:
        """Return the policy of a table. A column that repeats another table's is treated at least as that one is."""
        own = self._own(table.name)
        for lookup in table.lookups:
            action = self._own(lookup.table).action(lookup.value)
            if action is Action.BLOCK:
                own = replace(own, blocked=(*own.blocked, lookup.column))
            elif action is Action.HASH:
                own = replace(own, hashed=(*own.hashed, lookup.column))
        return own

    def _own(self, table: str) -> ColumnPolicy:
        packing = PACKED.get(table)
        return ColumnPolicy(
            self.blocked.get(table, ()),
            self.hashed.get(table, ()),
            self.salt_variable,
            packing,
            packs=self.packed and packing is not None,
        )

    @property
    def hashes(self) -> bool:
        """Return whether any column is hashed."""
        return any(self.policy(table).hashed for table in TABLES)
