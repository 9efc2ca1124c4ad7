"""Makes `klaviyo_openapi.json` and `klaviyo_openapi_later.json`, what tests read of Klaviyo's OpenAPI documents:

    python -m klaviyo_assets_tests.reference.trim stable.json beta.json   # from https://github.com/klaviyo/openapi

The later one has what revision 2026-10-15 has and the pinned one has not, or in another form: as the document of
2026-07-15.pre has it in beta, with what the official SDK 25.0.0 has on top of that (`RELEASED`).

Of every operation that reads, its limits and scopes; of those that the sandbox serves, also parameters, filters and
answers, with the schemas that they lead to. A line for each operation and schema, so that a
new revision can be compared.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from klaviyo_assets.sandbox.api.operations import ADDED, OMNICHANNEL, OPERATIONS

FILE = Path(__file__).with_name("klaviyo_openapi.json")
LATER = Path(__file__).with_name("klaviyo_openapi_later.json")
_BETA = "_beta"
RELEASED: dict[str, dict[str, Any]] = {
    "MessageDefinition": {"ab_test": {"$ref": "#/components/schemas/ABTestSettings", "nullable": True}},
    "MessageTrackingOptions": {
        "tracking_params": {"type": "array", "items": {"type": "object"}, "nullable": True},
    },
    "CouponAssigner": {
        "used": {"type": "string", "enum": ["ALWAYS_ASSIGN", "ASSIGN_IF_EXPIRED", "NEVER_ASSIGN"]},
        "unused_expired": {"type": "string", "enum": ["ALWAYS_ASSIGN", "NEVER_ASSIGN"]},
    },
    "ABTestSettings": {
        "winner_metric": {"type": "string", "enum": ["clicks_unique", "opens_unique", "placed_orders_unique"]},
        "winner_percentage": {"type": "integer", "nullable": True},
        "winner_wait_hours": {"type": "integer", "nullable": True},
    },
}
"""Schema -> the properties that it has since it is released."""

_ADDRESS = {"type": "string", "nullable": True}
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "CouponResponseObjectResource": {
        "assigner_configuration": {"$ref": "#/components/schemas/CouponAssigner", "nullable": True}
    },
    "TemplateResponseObjectResource": {"screenshot_url": _ADDRESS},
    "TemplateDndResponseObjectResource": {"screenshot_url": _ADDRESS},
}
"""Schema of a resource -> the attributes that it has since then."""

_LIMITS = ("operationId", "x-klaviyo-ratelimit", "x-klaviyo-scopes")
_SERVED = (*_LIMITS, "x-klaviyo-filters", "parameters", "requestBody")
_PROSE = ("description", "example", "examples", "summary", "title", "tags", "externalDocs")
_NAMED = ("properties", "schemas", "x-klaviyo-filters")


def trim(document: dict[str, Any], served: Collection[str] = OPERATIONS, *, rest: bool = True) -> dict[str, Any]:
    """Return the part that the tests read. served: operations of the sandbox; rest: with the limits of all others."""
    paths: dict[str, Any] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"] if isinstance(operation, dict) else ""
            if not (name and (method == "get" or name.startswith("query_"))) or not (rest or name in served):
                continue
            kept = {key: operation[key] for key in (_SERVED if name in served else _LIMITS) if key in operation}
            if name in served:
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


def later(stable: dict[str, Any], beta: dict[str, Any]) -> dict[str, Any]:
    """Return the part of revision 2026-10-15 that the tests read."""
    paths = {path: dict(methods) for path, methods in stable["paths"].items()}
    for path, methods in beta["paths"].items():
        for method, operation in methods.items():
            if isinstance(operation, dict):
                name = operation["operationId"].removesuffix(_BETA)
                paths.setdefault(path, {})[method] = {**operation, "operationId": name}
    for path in ("/api/campaigns", "/api/campaigns/{id}"):  # in beta, tags could not be included
        for parameter in paths[path]["get"]["parameters"]:
            if parameter["name"] == "include":
                parameter["schema"]["items"]["enum"].append("tags")
        fields = {"name": "fields[tag]", "in": "query", "schema": {"type": "array", "items": {"enum": ["id", "name"]}}}
        paths[path]["get"]["parameters"].append(fields)
    for path in ("/api/text-messaging-senders", "/api/text-messaging-senders/{id}"):
        paths[path]["get"]["x-klaviyo-ratelimit"] = {"burst": "3/s", "steady": "60/m"}
    include = {"name": "include", "in": "query", "schema": {"type": "array", "items": {"enum": ["campaign"]}}}
    paths["/api/campaigns/{id}/campaign-messages"]["get"]["parameters"].append(include)
    schemas = stable["components"]["schemas"] | beta["components"]["schemas"]
    for name in ("GetCampaignResponseCollectionCompoundDocument", "GetCampaignResponseCompoundDocument"):
        alternatives = schemas[name]["properties"]["included"]["items"]["oneOf"]
        alternatives.append({"$ref": "#/components/schemas/TagResponseObjectResource"})
    for name, properties in RELEASED.items():
        schemas.setdefault(name, {"type": "object", "properties": {}})["properties"] |= properties
    for name, properties in ATTRIBUTES.items():
        schemas[name]["properties"]["attributes"]["properties"] |= properties
    schemas["TemplateDefinition"] = {"type": "object"}  # as in the pinned document
    for type, attributes in ADDED.items():
        for methods in paths.values():
            for parameter in methods.get("get", {}).get("parameters", []):
                if parameter["name"] == f"fields[{type}]":
                    parameter["schema"]["items"]["enum"] += attributes
    unit = schemas["BillingUsageResponseObjectResource"]["properties"]["attributes"]["properties"]["unit"]
    unit["enum"] = sorted({*unit["enum"], "CAD"})
    wanted = {*OMNICHANNEL, *(each.id for each in OPERATIONS.values() if each.since)}
    wanted |= {each.id for each in OPERATIONS.values() if each.type in ADDED and each.segments[0] == f"{each.type}s"}
    document = {"info": {"version": "2026-10-15"}, "paths": paths, "components": {"schemas": schemas}}
    return trim(document, wanted, rest=False)


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
    documents = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    FILE.write_text(lines(trim(documents[0])))
    LATER.write_text(lines(later(*documents)))
