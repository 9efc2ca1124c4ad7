"""BigQuery's types as its API tells them, by the names that SQL has for them."""

from __future__ import annotations

import re

from google.cloud.bigquery import SchemaField

_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_NUMBERS = re.compile(r"\((\d+)(?:,(\d+))?\)")


def native(field: SchemaField) -> str:
    """Return the native type of a column: `INT64`, `STRING(20)`, `ARRAY<STRUCT<a INT64>>`.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
    """
    name = _NAMES.get(field.field_type, field.field_type)
    if name == "STRUCT":
        name = f"STRUCT<{', '.join(f'{each.name} {native(each)}' for each in field.fields)}>"
    elif field.max_length:
        name = f"{name}({field.max_length})"
    elif field.precision:
        name = f"{name}({field.precision},{field.scale or 0})"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name


def field(name: str, kind: str, description: str | None = None) -> SchemaField:
    """Return the API's description of a column of a native type, which is none that is made of others."""
    base, numbers = kind.partition("(")[0], _NUMBERS.search(kind)
    first, second = (int(numbers[1]), int(numbers[2] or 0)) if numbers else (None, None)
    text = base in ("STRING", "BYTES")
    return SchemaField(
        name, base, description=description, max_length=first if text else None,
        precision=None if text else first, scale=None if text else second,
    )  # fmt: skip
