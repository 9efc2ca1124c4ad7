"""What the warehouse must hold, read straight from the sandbox's objects and not through the project's mapping.

Every table's function gives key -> {column: the value as the API has it}. `differences` compares these with a table,
forgiving only what a column's type changes about a value: ISO text becomes a timestamp, objects become JSON text.
"""

from klaviyo_assets_tests.expected.compare import differences, live, lost_properties, mismatches, same, stored
from klaviyo_assets_tests.expected.profiles import person_with_predictions
from klaviyo_assets_tests.expected.rows import Expected, Key, dig, keyed, pick
from klaviyo_assets_tests.expected.tables import MORE_TABLES, OPTIONAL_TABLES, TABLES, Table

__all__ = [
    "MORE_TABLES",
    "OPTIONAL_TABLES",
    "TABLES",
    "Expected",
    "Key",
    "Table",
    "differences",
    "dig",
    "keyed",
    "live",
    "lost_properties",
    "mismatches",
    "person_with_predictions",
    "pick",
    "same",
    "stored",
]
