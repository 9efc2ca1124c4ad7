"""The sandbox against Klaviyo's OpenAPI document: what may be asked, and what every answer looks like."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
import requests

from klaviyo_assets.sandbox import Resource, Sandbox
from klaviyo_assets.sandbox.account.omnichannel import Omnichannel
from klaviyo_assets.sandbox.api.operation import Operation
from klaviyo_assets.sandbox.api.operations import ADDED, FIELDS, OMNICHANNEL, OMNICHANNEL_FIELDS, OPERATIONS
from klaviyo_assets.sandbox.api.serialize import COLLECTIONS
from klaviyo_assets_tests.reference import LATEST, openapi
from klaviyo_assets_tests.sandbox.samples import ITEM, sample_account
from klaviyo_assets_tests.sandbox.support import HEADERS, get

ALL = [*OPERATIONS.values(), *OMNICHANNEL.values()]
GETS = [operation for operation in ALL if operation.method == "GET"]
REPORTS = [operation for operation in OPERATIONS.values() if operation.id.startswith(("query_campaign", "query_flow"))]
FILTERS = {"get_campaigns": "equals(messages.channel,'email')", "get_coupon_codes": "equals(coupon.id,'10OFF')"}
OPEN_CHOICES = {"status", "trigger_type", "form_type", "definition.type"}
"""Filters whose listed values the sandbox does not insist on: new values appear without notice."""

EMPTY = {"custom-metric", "flow-triggers", "/campaign-messages/{id}/tags", "/campaign-messages/{id}/relationships/tags"}
"""Relationships, or paths of some, that a sample resource leaves empty."""


def documented(operation: Operation) -> dict[str, Any]:
    return document_of(operation)["paths"][f"/api{operation.path}"][operation.method.lower()]


def document_of(operation: Operation) -> Any:
    return openapi(LATEST if operation.omnichannel else "")


def named(operation: Operation) -> str:
    return f"{operation.id}-{operation.since}" if operation.omnichannel else operation.id


def parameters(document: dict[str, Any], pattern: str) -> dict[str, list[str]]:
    """The values that parameters of a name allow, by what the name has in brackets."""
    found = {}
    for parameter in document.get("parameters", []):
        match = re.fullmatch(pattern, parameter["name"])
        if match:
            schema = parameter["schema"]
            found[match[1] if match.groups() else ""] = schema.get("enum") or schema.get("items", {}).get("enum", [])
    return found


@pytest.mark.parametrize("operation", ALL, ids=named)
def test_operation_is_as_documented(operation: Operation) -> None:
    document = documented(operation)
    assert document["operationId"] == operation.id
    assert set(document["x-klaviyo-scopes"]) == set(operation.scopes)
    limits = document["x-klaviyo-ratelimit"]
    daily = (f"{operation.rate.daily}/d",) if operation.rate.daily else ()
    assert tuple(limits.values()) == (f"{operation.rate.burst}/s", f"{operation.rate.steady}/m", *daily)
    assert set(parameters(document, "include").get("", ())) == set(operation.includes)
    assert {name for name in parameters(document, "sort").get("", ()) if name[0] != "-"} == set(operation.sorts)
    assert parameters(document, r"additional-fields\[(.*)\]") == {k: list(v) for k, v in operation.additional.items()}
    pages = {each["name"]: each["schema"] for each in document.get("parameters", []) if each["name"][:5] == "page["}
    size = pages.get("page[size]")
    assert ("page[cursor]" in pages) == (operation.page is not None)
    if size is None:
        assert operation.page is None or operation.page.maximum is None
    else:
        assert (size["default"], size["minimum"], size["maximum"]) == (operation.page[0], 1, operation.page[1])


@pytest.mark.parametrize("operation", GETS, ids=named)
def test_filters_are_as_documented(operation: Operation) -> None:
    filters = documented(operation).get("x-klaviyo-filters", {})
    # The id filter of flow messages is documented for the collection but not for its ids.
    assert operation.filters.keys() - filters.keys() <= {"id"}
    assert filters.keys() <= operation.filters.keys()
    required = [each.get("required") for each in documented(operation)["parameters"] if each["name"] == "filter"]
    assert bool(operation.required) == (required == [True])
    for name, rule in filters.items():
        known = operation.filters[name]
        operators, value = rule["operators"], rule.get("value", {})
        assert {*operators.get("single", ()), *operators.get("none", ())} == set(known.operators), name
        assert set(operators.get("list", ())) == set(known.list_operators), name
        kinds = {"string": "text", "number": "number", "integer": "number", "boolean": "flag", None: "relation"}
        assert known.kind == ("date" if value.get("format") == "date-time" else kinds[value.get("type")]), name
        assert set(known.choices) == set(value.get("enum", ())) or name in OPEN_CHOICES, name


@pytest.mark.parametrize("operations", [OPERATIONS, OMNICHANNEL], ids=["pinned", "omnichannel"])
def test_sparse_fieldsets_are_as_documented(operations: dict[str, Operation]) -> None:
    documented_fields: dict[str, set[str]] = {}
    for operation in operations.values():
        for type, names in parameters(documented(operation), r"fields\[(.*)\]").items():
            if operation.since and operation.type != type and operations is OPERATIONS:
                continue  # what a later revision shows of other types
            documented_fields.setdefault(type, set()).update(name.partition(".")[0] for name in names)
    fields = FIELDS | OMNICHANNEL_FIELDS if operations is OMNICHANNEL else FIELDS
    known = {type: {"id", *names} for type, names in fields.items()}
    known["profile"].add("joined_group_at")
    if operations is OMNICHANNEL:
        # A variation may include a translation; only `get_template` itself has definitions.
        del documented_fields["translation"], documented_fields["template"]
    assert documented_fields == {type: known[type] for type in documented_fields}


def to_json_schema(schema: Any) -> Any:
    """OpenAPI 3.0 to JSON Schema: `nullable`, and what the real API does otherwise."""
    if isinstance(schema, list):
        return [to_json_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: to_json_schema(value) for name, value in schema.items() if name != "example"}
    if "oneOf" in schema:
        # Objects without attributes of their own fit several alternatives.
        schema["anyOf"] = schema.pop("oneOf")
    if schema.pop("nullable", False):
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


@functools.cache
def schemas(revision: str = "") -> dict[str, Any]:
    """The document's schemas, with the deviations that the recordings show (their README lists them)."""
    found = to_json_schema(copy.deepcopy(openapi(revision)["components"]["schemas"]))
    if not revision:
        # Attributions have no links of their own in live responses.
        found["AttributionResponseObjectResource"]["required"].remove("links")
    for name in ("next", "prev"):
        found["CollectionLinks"]["properties"][name] = {"type": ["string", "null"]}

    def patch(schema: Any) -> None:
        if isinstance(schema, list):
            for each in schema:
                patch(each)
        if not isinstance(schema, dict):
            return
        properties = schema.get("properties", {})
        # Ids of relationships, unlike the links beside them, are shown only where they are inlined or included.
        for relationship in properties.get("relationships", {}).get("properties", {}).values():
            relationship.pop("required", None)
            data = relationship.get("properties", {}).get("data")
            if data and data.get("type") == "object":
                relationship["properties"]["data"] = {"anyOf": [data, {"type": "null"}]}
        # A document with an object is required to have one even where a to-one relationship is empty.
        if set(properties) >= {"data", "links"} and properties["data"].get("type") == "object":
            properties["data"] = {"anyOf": [properties["data"], {"type": "null"}]}
        if "whatsapp" in properties:
            properties["whatsapp"] = {}
        for each in list(schema.values()):
            patch(each)

    patch(found)
    return found


def validate(document: Any, described: dict[str, Any], revision: str = "") -> None:
    """Check a body against the schema of a documented request or response."""
    content = described["content"]["application/vnd.api+json"]["schema"]
    schema = to_json_schema(content) | {"components": {"schemas": schemas(revision)}}
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(sample_account()) as sandbox:
        yield sandbox


def ids(sandbox: Sandbox) -> dict[str, str]:
    served = {type: each for type, each in sandbox.account.resources.items() if type in COLLECTIONS}
    found = {COLLECTIONS[type]: next(iter(each)) for type, each in served.items()}
    campaigns = Omnichannel(sandbox.account).store().resources
    found |= {COLLECTIONS[type]: next(iter(each)) for type, each in campaigns.items() if type.startswith("campaign-")}
    return found | {"events": "7qWkC6JPz7g", "catalog-items": ITEM}


@pytest.mark.parametrize("operation", GETS, ids=named)
def test_answer_has_the_documented_schema(sandbox: Sandbox, operation: Operation) -> None:
    path = operation.path.replace("{id}", quote(ids(sandbox)[operation.segments[0]]))
    query = {f"additional-fields[{type}]": ",".join(names) for type, names in operation.additional.items()}
    if operation.includes:
        query["include"] = ",".join(operation.includes)
    if operation.id in FILTERS and not operation.omnichannel:
        query["filter"] = FILTERS[operation.id]
    headers = HEADERS | ({"revision": operation.since} if operation.since else {})
    response = requests.get(sandbox.url + path, params=query, headers=headers, timeout=60)
    assert response.status_code == 200, response.text
    document = response.json()
    assert document["data"] or {operation.relationship, operation.path} & EMPTY

    validate(document, documented(operation)["responses"]["200"], operation.since if operation.omnichannel else "")
    for data in [document["data"]] if isinstance(document["data"], dict) else document["data"] or []:
        assert data["type"] == operation.type


def choices(operation: Operation, attribute: str) -> list[str]:
    """The values that the document allows for an attribute of a report's request."""
    name = documented(operation)["requestBody"]["content"]["application/vnd.api+json"]["schema"]["$ref"]
    resource = openapi()["components"]["schemas"][f"{name.rpartition('/')[2]}ResourceObject"]
    schema = resource["properties"]["attributes"]["properties"][attribute]
    return schema.get("enum") or schema["items"]["enum"]


@pytest.mark.parametrize("operation", REPORTS, ids=lambda operation: operation.id)
def test_reports_are_as_documented(sandbox: Sandbox, operation: Operation) -> None:
    """With everything that may be asked for, on pages of one result, for events that were sent today."""
    sandbox.account.add(Resource("metric", "Rcv", {"name": "Received Email"}))
    for variation in "AB":
        for properties in ({"$message": "StDwe4", "$flow": "T6EyQF"}, {"$message": "01K4ABCDEG0123456789GHJKMN"}):
            now = sandbox.account.clock.now()
            sandbox.account.add_event("Rcv", now, properties={**properties, "$variation": variation})
    attributes = {
        "statistics": choices(operation, "statistics"),
        "group_by": choices(operation, "group_by"),
        "timeframe": {"key": "today"},
        "conversion_metric_id": "Rcv",
        "filter": 'and(contains-any(send_channel,["email","sms"]),contains-all(tag_name,["seasonal"]))',
    }
    if "series" in operation.id:
        attributes["interval"] = choices(operation, "interval")[0]
    body = {"data": {"type": operation.type, "attributes": attributes}}
    validate(body, documented(operation)["requestBody"])
    assert "page_cursor" in parameters(documented(operation), "(page_cursor)")
    sandbox.report_page_size = 1
    url, variations = sandbox.url + operation.path, []
    while url:
        response = requests.post(url, json=body, headers=HEADERS, timeout=60)
        assert response.status_code == 200, response.text
        document = response.json()
        validate(document, documented(operation)["responses"]["200"])
        (result,) = document["data"]["attributes"]["results"]
        assert list(result["groupings"]) == attributes["group_by"]
        assert list(result["statistics"]) == attributes["statistics"]
        variations.append(result["groupings"]["variation"])
        assert document["links"]["next"] != url, "a page leads to itself"
        url = document["links"]["next"]
    assert variations == ["A", "B"]


@pytest.mark.parametrize(("type", "attribute"), [(type, name) for type, names in ADDED.items() for name in names])
def test_an_attribute_is_unknown_to_revisions_before_its_own(sandbox: Sandbox, type: str, attribute: str) -> None:
    for operation in (OPERATIONS[f"get_{type}s"], OPERATIONS[f"get_{type}"]):
        path = operation.path.replace("{id}", sandbox.account.all(type)[0].id)
        before, after = ([get(sandbox, path[1:], headers=each)] for each in ({}, {"revision": ADDED[type][attribute]}))
        validate(after[0], openapi(LATEST)["paths"][f"/api{operation.path}"]["get"]["responses"]["200"], LATEST)
        for documents in (before, after):
            data = documents.pop()["data"]
            documents += data if isinstance(data, list) else [data]
        assert all(each["attributes"].pop(attribute) for each in after)
        assert after == before
        query = {f"fields__{type}": attribute}
        refused = get(sandbox, path[1:], status=400, **query)["errors"][0]
        assert refused["detail"] == f"'{attribute}' is not an allowed field for {type}."
        assert get(sandbox, path[1:], headers={"revision": ADDED[type][attribute]}, **query)["data"]
