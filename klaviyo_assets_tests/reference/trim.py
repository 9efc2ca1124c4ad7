"""Makes `klaviyo_openapi.json`, the part of Klaviyo's OpenAPI document that the tests read:

    python -m klaviyo_assets_tests.reference.trim stable.json   # from https://github.com/klaviyo/openapi

Of every operation that reads, its limits and scopes; of those that the sandbox serves, also parameters, filters and
answers, with the schemas that they lead to. A line for each operation and schema, so that a
new revision can be compared.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from klaviyo_assets.sandbox.api.operations import OPERATIONS

FILE = Path(__file__).with_name("klaviyo_openapi.json")
_LIMITS = ("operationId", "x-klaviyo-ratelimit", "x-klaviyo-scopes")
_SERVED = (*_LIMITS, "x-klaviyo-filters", "parameters", "requestBody")
_PROSE = ("description", "example", "examples", "summary", "title", "tags", "externalDocs")
_NAMED = ("properties", "schemas", "x-klaviyo-filters")


def trim(document: dict[str, Any]) -> dict[str, Any]:
    """Return the part that the tests read."""
    paths: dict[str, Any] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"] if isinstance(operation, dict) else ""
            if not (name and (method == "get" or name.startswith("query_"))):
                continue
            kept = {key: operation[key] for key in (_SERVED if name in OPERATIONS else _LIMITS) if key in operation}
            if name in OPERATIONS:
                kept["responses"] = {"200": operation["responses"]["200"]}
            paths.setdefault(path, {})[method] = without_prose(kept)
    schemas = document["components"]["schemas"]
    needed: set[str] = set()
    waiting = list(references(paths))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [*references(schemas[name]), *({f"{name}ResourceObject"} & schemas.keys())]
    return {
        "info": {"version": document["info"]["version"]},
        "paths": paths,
        "components": {"schemas": {name: without_prose(schemas[name]) for name in sorted(needed)}},
    }


def references(value: Any) -> Iterator[str]:
    """Yield the names of the schemas that a part refers to."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for each in value.values():
            yield from references(each)


def without_prose(value: Any, *, named: bool = False) -> Any:
    """Return a part without its texts for people. named: its keys are names, of properties for example."""
    if isinstance(value, list):
        return [without_prose(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_prose(each, named=key in _NAMED and not named)
        for key, each in value.items()
        if named or key not in _PROSE
    }


def lines(document: dict[str, Any]) -> str:
    """Return the JSON text, a line for each path and each schema."""

    def block(entries: dict[str, Any]) -> str:
        rows = (f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in entries.items())
        return "{\n" + ",\n".join(rows) + "\n}"

    return (
        f'{{"info":{json.dumps(document["info"])},\n"paths":{block(document["paths"])},\n'
        f'"components":{{"schemas":{block(document["components"]["schemas"])}}}}}\n'
    )


if __name__ == "__main__":
    FILE.write_text(lines(trim(json.loads(Path(sys.argv[1]).read_text()))))
