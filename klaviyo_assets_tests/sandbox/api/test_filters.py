"""The filter language: what it accepts, what it finds, and what it refuses with which words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.sandbox import Resource, Sandbox
from klaviyo_assets.sandbox.api.errors import ApiError
from klaviyo_assets.sandbox.api.filters import Condition, parse_filter
from klaviyo_assets.sandbox.api.operation import COMPARISONS, Operation, date, flag, number, text
from klaviyo_assets.sandbox.api.operations import OPERATIONS
from klaviyo_assets_tests.sandbox.samples import sample_account
from klaviyo_assets_tests.sandbox.support import NOW, get, walk

ALLOWED = {
    "name": text("any[]", "equals", "contains"),
    "a.b": text("equals"),
    "created": date(),
    "expires_at": date(past=False),
    "size": number(*COMPARISONS),
    "archived": flag(),
}


def condition(source: str) -> Condition:
    [found] = parse_filter(source, ALLOWED, NOW)
    return found


@given(st.text(), st.sampled_from("\"'"))
def test_any_text_comes_through_quoted(value: str, quote: str) -> None:
    written = value.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    found = parse_filter(f"equals(name,{quote}{written}{quote}),equals(a.b,'x')", ALLOWED, NOW)
    assert found[0] == Condition("name", "equals", (value,))


@given(st.text("equals(,)[]\"'\\name.1-:TZ+ ", max_size=40))
def test_any_source_is_parsed_or_refused(source: str) -> None:
    try:
        parse_filter(source, ALLOWED, NOW)
    except ApiError as error:
        assert error.status == 400


@pytest.mark.parametrize(
    ("literal", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T10:00:00Z", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31 10:00:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T10:00:00.250+02:00", datetime(2026, 1, 31, 8, microsecond=250_000, tzinfo=UTC)),
        ("2026-01-31T10:00:00 02:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31 10:00:00+00:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_datetimes(literal: str, moment: datetime) -> None:
    assert condition(f"greater-than(created,{literal})").values == (moment,)


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("any(name,['a', \"b\",3])", ("a", "b", "3")),
        ("and(equals(archived,true))", (True,)),
        ("less-than(size,-2.5e3)", (-2500.0,)),
        ("less-than(expires_at,2099-01-01)", (datetime(2099, 1, 1, tzinfo=UTC),)),
    ],
)
def test_values(source: str, values: tuple[Any, ...]) -> None:
    assert condition(source).values == values


@pytest.mark.parametrize(
    ("source", "detail", "where"),
    [
        (
            "equals(nope,1)",
            "'nope' is not a filterable field for this resource.  Filterable fields are"
            " a.b, archived, created, expires_at, name, size",
            {"parameter": "filter"},
        ),
        (
            "less-than(name,'x')",
            "'less-than' is not an allowed filter operator for name.  Allowed operators are equals, contains, any",
            {"parameter": "filter"},
        ),
        (
            "equals(archived,'true')",
            "Invalid filter value for archived: 'true' is not a boolean",
            {"parameter": "filter"},
        ),
        (
            'less-than(created,"2026-01-01")',
            'Invalid filter value for created: "2026-01-01" is not a datetime',
            {"parameter": "filter"},
        ),
        (
            "less-than(created,2026-13-01)",
            "Invalid filter value for created: 2026-13-01 is not a datetime",
            {"parameter": "filter"},
        ),
        (
            "less-than(created,2026-09-05T02:00:00+02:00)",
            "End date may not be in the future: 2026-09-05T00:00:00",
            {"pointer": "created"},
        ),
        (
            f"greater-or-equal(created,{(NOW - timedelta(seconds=4)).isoformat()})",
            f"End date may not be in the future: {(NOW - timedelta(seconds=4)).replace(tzinfo=None).isoformat()}",
            {"pointer": "created"},
        ),
        ("equals(name,'x'", "Invalid filter: equals(name,'x'", {"parameter": "filter"}),
        ("or(equals(name,'x'))", "Invalid filter: or(equals(name,'x'))", {"parameter": "filter"}),
        ("equals(name,x'y')", "Invalid filter: equals(name,x'y')", {"parameter": "filter"}),
    ],
)
def test_refusals(source: str, detail: str, where: dict[str, str]) -> None:
    with pytest.raises(ApiError) as caught:
        parse_filter(source, ALLOWED, NOW)
    assert (caught.value.status, caught.value.detail, caught.value.source) == (400, detail, where)


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (operation, field)
        for operation in OPERATIONS.values()
        for field, rule in operation.filters.items()
        if rule.kind == "date" and field != "expires_at"
    ],
    ids=lambda value: getattr(value, "id", value),
)
def test_no_time_may_be_near_now(operation: Operation, field: str) -> None:
    operator = operation.filters[field].operators[0]
    parse_filter(f"{operator}({field},{(NOW - timedelta(seconds=6)).isoformat()})", operation.filters, NOW)
    with pytest.raises(ApiError, match="may not be in the future"):
        parse_filter(f"{operator}({field},{(NOW - timedelta(seconds=4)).isoformat()})", operation.filters, NOW)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    account = sample_account()
    account.suppress("01J5QK8Z6X3T9N4V7B2C1D0E8F", "SPAM_COMPLAINT")
    account.suppress("01J5QK8Z6X3T9N4V7B2C1D0E8F", "UNSUBSCRIBE", list_id="Y6nRLr")
    account.add(Resource("profile", "OTHER", {"email": "other@example.com", "updated": "2026-01-01T00:00:00+00:00"}))
    account.add(Resource("campaign", "SMS", {"name": "sms", "archived": True, "status": "Draft"}))
    account.add(Resource("campaign-message", "SMSM", {"definition": {"channel": "sms"}}, {"campaign": "SMS"}))
    account.add_event("GONE", NOW - timedelta(hours=1), id="orphan001", profile_id="OTHER")
    with Sandbox(account) as sandbox:
        yield sandbox


EMAIL_SUPPRESSION = "subscriptions.email.marketing.suppression"
LIST_SUPPRESSIONS = "subscriptions.email.marketing.list_suppressions"


@pytest.mark.parametrize(
    ("path", "filter", "ids"),
    [
        ("events", "has(metric)", ["7qWkC6JPz7g"]),
        ("events", "equals(profile_id,'OTHER')", ["orphan001"]),
        ("events", "equals(metric_id,['GONE','VtZ2aK'])", ["orphan001", "7qWkC6JPz7g"]),
        ("events", f"greater-than(timestamp,{int(NOW.timestamp()) - 7200})", ["orphan001"]),
        ("profiles", "any(email,['other@example.com','x'])", ["OTHER"]),
        ("profiles", "greater-than(updated,2026-01-01),less-than(updated,2026-01-02)", []),
        ("profiles", f"equals({EMAIL_SUPPRESSION}.reason,'SPAM_COMPLAINT')", ["01J5QK8Z6X3T9N4V7B2C1D0E8F"]),
        ("profiles", f"greater-or-equal({EMAIL_SUPPRESSION}.timestamp,2026-09-04)", ["01J5QK8Z6X3T9N4V7B2C1D0E8F"]),
        ("profiles", f"equals({LIST_SUPPRESSIONS}.list_id,'Y6nRLr')", ["01J5QK8Z6X3T9N4V7B2C1D0E8F"]),
        ("lists/Y6nRLr/profiles", "greater-than(joined_group_at,2026-09-04)", []),
        ("lists/Y6nRLr/profiles", "equals(push_token,'fcm:abc')", ["01J5QK8Z6X3T9N4V7B2C1D0E8F"]),
        ("campaigns", "equals(messages.channel,'email')", ["01K4ABCDEF0123456789GHJKMN"]),
        ("campaigns", "equals(messages.channel,'sms')", []),
        ("campaigns", "equals(messages.channel,'sms'),equals(archived,true)", ["SMS"]),
        ("flows/T6EyQF/flow-actions", "equals(action_type,'SEND_EMAIL'),equals(status,'live')", ["116466131"]),
        ("flow-actions/116466131/flow-messages", "starts-with(name,'Welcome')", ["StDwe4"]),
        ("coupon-codes", "any(coupon.id,['10OFF','X'])", ["10OFF-ASD325"]),
        ("coupon-codes", "any(coupon.id,['10OFF']),less-than(expires_at,2026-12-01)", []),
        ("coupon-codes", "equals(profile.id,'01J5QK8Z6X3T9N4V7B2C1D0E8F')", ["10OFF-ASD325"]),
        ("catalog-items", "equals(category.id,'$custom:::$default:::TEA')", ["$custom:::$default:::OOL-100"]),
        ("reviews", "equals(status,'published'),greater-or-equal(rating,5)", ["925e385b52fb405715f3616c337cc65c"]),
        ("reviews", "equals(rating,4)", []),
        ("images", "greater-than(size,50000)", []),
        ("segments", "equals(is_starred,true)", ["RkT5hd"]),
    ],
)
def test_what_filters_find(sandbox: Sandbox, path: str, filter: str, ids: list[str]) -> None:
    assert [row["id"] for row in walk(sandbox, path, filter=filter)] == ids


@pytest.mark.parametrize("path", ["campaigns", "coupon-codes"])
def test_a_mandatory_filter(sandbox: Sandbox, path: str) -> None:
    error = get(sandbox, path, status=400)["errors"][0]
    assert error["source"] == {"parameter": "filter"}


def test_flows_are_sorted_by_the_date_they_are_filtered_by(sandbox: Sandbox) -> None:
    filter = "greater-than(updated,2026-01-01)"
    assert len(walk(sandbox, "flows", filter=filter, sort="updated")) == 1
    error = get(sandbox, "flows", status=400, filter=filter, sort="name")["errors"][0]
    assert error["detail"] == "If a date filter is provided, sort field must also match or be omitted."


@pytest.mark.parametrize("path", ["forms/UvW3xy/form-versions", "forms/UvW3xy/relationships/form-versions"])
def test_a_filter_that_klaviyo_fails_on(sandbox: Sandbox, path: str) -> None:
    assert [row["id"] for row in get(sandbox, path, filter="equals(form_type,'popup')")["data"]] == ["1234567"]
    get(sandbox, path, status=500, filter="any(form_type,['popup'])")
