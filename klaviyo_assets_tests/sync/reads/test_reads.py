"""Complete reads, over HTTP: exactly what the sandbox holds, whatever moves meanwhile, with few requests."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from klaviyo_assets.api import KlaviyoClient, KlaviyoError, NotFound, PaginationError
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.sandbox import Account, Resource, Sandbox
from klaviyo_assets.sandbox.account.omnichannel import omnichannel
from klaviyo_assets.sandbox.api.errors import invalid
from klaviyo_assets.sandbox.faults import Call, Document, Status
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.lost import noting
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.sync.reads.coupon_codes import LONGEST_FILTER, groups
from klaviyo_assets.sync.reads.reading import concurrently
from klaviyo_assets.tables.registry import TABLES, family, table
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.extract import Extract, Publication
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SNAPSHOT, SyncState
from klaviyo_assets_tests.api.fake import FakeClock

Keys = set[tuple[Any, ...]]
TOUCHED = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
LED = {"events", "profiles", "accounts", "list_members", "segment_members", "exclusions"}
"""Families with a way of their own, which is not a complete read."""


class Reader:
    """A sandbox, a warehouse, and the reads between them."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.sandbox = Sandbox(account).start()
        self.account = account
        self.warehouse = DuckDBWarehouse(database=str(folder / "warehouse.duckdb"))
        self.source = KlaviyoAccount(warehouse=self.warehouse, api_url=self.sandbox.url)
        clock = FakeClock()  # rate limits pass without waiting
        self.source._client = KlaviyoClient(
            "pk_sandbox", base_url=self.sandbox.url, clock=clock, sleep=clock.sleep, max_concurrency=4
        )

    def rows(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """Everything that a read returns, by table, in its order."""
        found: dict[str, list[dict[str, Any]]] = {each.name: [] for each in family(name)}
        for rows in READS[family(name)[0].family](self.source):
            for each, some in rows.items():
                found[each] += some
        return found

    def keys(self, name: str) -> dict[str, Keys]:
        return {each: keys_of(each, rows) for each, rows in self.rows(name).items()}

    def publish(self, name: str) -> None:
        """Read a family and publish it, as the assets do."""
        now = self.account.clock.now()
        for each, rows in self.rows(name).items():
            spec = table(each)
            with temporary_spool() as spool:
                spool.write(typed_batch(Columns.of_rows(rows, spec.types), spec))
                state = SyncState(each, SNAPSHOT, synced_through=now, complete=True)
                self.warehouse.store_snapshot(Extract(spec, snapshot=True, states=(state,)), spool)
            self.warehouse.publish(Publication(spec, accept_shrink=True), guard=1)
            published = SyncState(each, "", synced_through=now, complete=True)
            with temporary_spool() as nothing:
                self.warehouse.load(Extract(spec, states=(published,)), nothing)

    def requests(self, name: str) -> Counter[str]:
        """How many requests a read makes, by operation."""
        self.sandbox.requests.clear()
        self.rows(name)
        return self.sandbox.requests.counts()

    def when(self, operation: str, story: Callable[[], Any], *, number: int = 1) -> None:
        """Let something happen just before a request is answered, once."""
        told: list[bool] = []
        start = self.sandbox.requests.counts()[operation]

        def hook(call: Call) -> None:
            if call.operation == operation and call.number == start + number and not told:
                told.append(True)
                story()

        self.sandbox.faults.append(hook)


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Callable[[Account], Reader]]:
    readers: list[Reader] = []

    def start(account: Account) -> Reader:
        readers.append(Reader(account, tmp_path))
        return readers[-1]

    yield start
    for reader in readers:
        reader.source.client.close()
        reader.sandbox.stop()


@pytest.fixture
def account() -> Account:
    """An account with more of everything than fits on a page."""
    account = generate_account(events=300, profiles=60, days=20, seed=3)
    for type, count in {
        "list": 25, "segment": 25, "tag": 120, "tag-group": 30, "coupon": 105, "form": 130, "image": 130,
        "template-universal-content": 110, "web-feed": 45, "catalog-category": 110, "review": 110, "push-token": 110,
        "flow": 60,
    }.items():  # fmt: skip
        grow(account, type, count)
    return account


def grow(account: Account, type: str, count: int) -> list[str]:
    """Add copies of the resources of a type, with times of their own, until there are so many."""
    known = account.all(type)
    added = []
    for number, pattern in zip(range(len(known), count), itertools.cycle(known), strict=False):
        attributes = dict(pattern.attributes)
        for stamp in {"created", "created_at", "updated", "updated_at"} & attributes.keys():
            attributes[stamp] = (TOUCHED + number * dt.timedelta(minutes=7)).isoformat()
        names = [name for name in pattern.relationships if name in ("tags", "profile", "tag-group", "item")]
        links = {name: pattern.relationships[name] for name in names}
        added.append(account.add(Resource(type, f"X{number:05}", attributes, links)).id)
    return added


def keys_of(name: str, rows: list[dict[str, Any]]) -> Keys:
    return {tuple(row[column] for column in table(name).primary_key) for row in rows}


def ids(type: str) -> Callable[[Account], Keys]:
    return lambda account: {(each.id,) for each in account.all(type)}


def pairs(type: str, name: str) -> Callable[[Account], Keys]:
    return lambda account: {
        (each.id, other) for each in account.all(type) for other in account.related(type, each.id, name)
    }


def of_campaigns(keys: Callable[[Any], Keys]) -> Callable[[Account], Keys]:
    return lambda account: keys(omnichannel(account))


def parameters(account: Account) -> Keys:
    found = set()
    for action in account.all("flow-action"):
        data = (action.attributes["definition"] or {}).get("data") or {}
        message = data.get("message") or (data.get("main_action") or {}).get("data", {}).get("message") or {}
        found |= {(each["param"], action.id) for each in message.get("custom_tracking_params") or []}
    return found


EXPECTED: dict[str, Callable[[Account], Keys]] = {
    "metric": ids("metric"),
    "integration": lambda account: {
        (metric.attributes["integration"]["id"],)
        for metric in account.all("metric")
        if metric.attributes["integration"]
    },
    "campaign": of_campaigns(ids("campaign")),
    "campaign_message": of_campaigns(ids("campaign-message")),
    "campaign_tag": of_campaigns(pairs("campaign", "tags")),
    "campaign_audience": of_campaigns(ids("campaign-audience")),
    "campaign_variation": of_campaigns(ids("campaign-variation")),
    "list": ids("list"),
    "list_tag": pairs("list", "tags"),
    "segment": ids("segment"),
    "segment_tag": pairs("segment", "tags"),
    "flow": ids("flow"),
    "flow_action": ids("flow-action"),
    "flow_action_tracking_utm_param": parameters,
    "flow_tag": pairs("flow", "tags"),
    "flow_message": ids("flow-message"),
    "email_template": lambda account: {(each.id,) for each in account.all("template") if not account.is_clone(each.id)},
    "tags": ids("tag"),
    "tag_group": ids("tag-group"),
    "coupon": ids("coupon"),
    "coupon_code": ids("coupon-code"),
    "form": ids("form"),
    "form_version": ids("form-version"),
    "catalog_item": ids("catalog-item"),
    "catalog_variant": ids("catalog-variant"),
    "catalog_category": ids("catalog-category"),
    "image": ids("image"),
    "review": ids("review"),
    "universal_content": ids("template-universal-content"),
    "web_feed": ids("web-feed"),
    "push_token": ids("push-token"),
    "webhook": ids("webhook"),
    "billing_usage": ids("billing-usage"),
    "brand_resource": lambda account: {
        (type.removeprefix("brand-"), id)
        for type, some in account.resources.items()
        for id in some
        if type.startswith("brand-")
    },
    "translation": ids("translation"),
    "text_messaging_sender": ids("text-messaging-sender"),
    "custom_metric": ids("custom-metric"),
    "mapped_metric": ids("mapped-metric"),
}


ELSEWHERE = {
    "campaign_list",
    "campaign_message_send_time",
    "campaign_tracking_utm_param",
    "campaign_report",
    "flow_report",
}
"""Tables whose keys are no resources of the sandbox: the stories compare their rows."""


def test_every_family_has_a_read() -> None:
    assert {each.name for each in READS} == {each.family.name for each in TABLES} - LED
    read = {each.name for each in TABLES if each.family.name not in LED}
    assert read - ELSEWHERE == EXPECTED.keys(), "each table has an entry in EXPECTED"


def test_every_read_returns_exactly_what_there_is(read: Callable[[Account], Reader], account: Account) -> None:
    reader = read(account)
    for name in {each.name for each in READS} - {"campaign_reports", "flow_reports"}:
        found = reader.keys(name)
        for each in found.keys() & EXPECTED.keys():
            assert found[each] == EXPECTED[each](account), each
            assert found[each] or each == "custom_metric", f"{each} is not tested"


def test_rows_carry_the_names_and_parents_of_the_sandbox(read: Callable[[Account], Reader], account: Account) -> None:
    reader = read(account)
    for row in reader.rows("flows")["flow"]:
        flow = account.get("flow", row["id"])
        assert flow and (row["name"], row["archived"]) == (flow.attributes["name"], flow.attributes["archived"])
    for row in reader.rows("flows")["flow_action"]:
        assert row["flow_id"] in account.related("flow-action", row["id"], "flow")
    for row in reader.rows("flow_messages")["flow_message"]:
        message = account.get("flow-message", row["id"])
        assert message and (row["channel"], row["name"]) == (
            message.attributes["channel"],
            message.attributes["definition"]["name"],
        )
    for row in reader.rows("form_versions")["form_version"]:
        assert account.related("form-version", row["id"], "form") == [row["form_id"]]
    for row in reader.rows("coupon_codes")["coupon_code"]:
        assert account.related("coupon-code", row["id"], "coupon") == [row["coupon_id"]]


def campaigns_of(account: Account, count: int) -> None:
    """Replace the campaigns by so many of the old builder, one of ten archived."""
    groups = ids("list")(account)
    for type in ("campaign", "canvas-campaign"):
        for each in account.all(type):
            account.delete(type, each.id)
    stamps = {"created_at": TOUCHED.isoformat(), "updated_at": TOUCHED.isoformat()}
    for number in range(count):
        id = f"C{number:04}"
        audiences = {"included": [group for (group,) in groups][:2], "excluded": []}
        values = {"name": id, "status": "Sent", "archived": number % 10 == 0, "audiences": audiences}
        account.add(Resource("campaign", id, {**values, **stamps}))
        content = {"definition": {"channel": "email", "content": {"subject": id}}, "send_times": [], **stamps}
        account.add(Resource("campaign-message", f"M{number:04}", content, {"campaign": id}))


def test_requests_of_5000_campaigns(read: Callable[[Account], Reader]) -> None:
    account = generate_account(events=0, profiles=1, days=1)
    campaigns_of(account, 5_000)
    reader = read(account)
    found = reader.rows("campaigns")
    assert {name: len(rows) for name, rows in found.items() if name in ("campaign_message", "campaign_variation")} == {
        "campaign_message": 5_000, "campaign_variation": 5_000
    }  # fmt: skip
    assert len(keys_of("campaign", found["campaign"])) == len(keys_of("campaign_audience", found["campaign_audience"]))
    counts = reader.sandbox.requests.counts()
    assert counts == {"get_campaigns": 5 + 45 + 5, "get_campaign_messages": 50}
    assert sum(counts.values()) <= 120


def refusing(status: int, detail: str, *, only: str = "", revision: str = "") -> Callable[[Call], Status | None]:
    """Refuse requests for campaigns that include something, or are of a revision."""

    def hook(call: Call) -> Status | None:
        if not (call.operation or "").startswith("get_campaign") or revision not in call.headers["revision"]:
            return None
        return Status(status, body=invalid(detail).body()) if only in call.query.get("include", "") else None

    return hook


def test_variations_are_asked_for_one_by_one_if_none_are_included(
    read: Callable[[Account], Reader], account: Account
) -> None:
    """As the official SDK has it; Klaviyo's pages say that they can be included."""
    reader = read(account)
    expected = reader.rows("campaigns")
    detail = "'campaign-variations' is not an allowed include parameter for this resource."
    reader.sandbox.faults.append(refusing(400, detail, only="campaign-variations"))
    assert reader.rows("campaigns") == expected
    messages = EXPECTED["campaign_message"](account)
    assert reader.requests("campaigns")["get_variations_for_campaign_message"] == len(messages)


def test_variations_of_a_message_may_fill_several_pages(read: Callable[[Account], Reader], account: Account) -> None:
    reader = read(account)
    expected = reader.rows("campaigns")
    more = "fields[campaign-variation]"

    def hook(call: Call) -> Document | None:
        def cut(document: dict[str, Any]) -> None:
            document["data"] = document["data"][1:] if more in call.query else document["data"][:1]
            following = f"{reader.sandbox.url}{call.path.removeprefix('/api')}?{more}=created,definition,updated"
            document["links"]["next"] = None if more in call.query else following

        return Document(cut) if call.operation == "get_variations_for_campaign_message" else None

    reader.sandbox.faults.extend([hook, refusing(400, "No such include parameter", only="campaign-variations")])
    assert reader.rows("campaigns") == expected


def test_a_message_whose_variations_are_not_found_though_it_is_there_is_an_error(
    read: Callable[[Account], Reader], account: Account
) -> None:
    def hook(call: Call) -> Status | None:
        return Status(404) if call.operation == "get_variations_for_campaign_message" else None

    reader = read(account)
    reader.sandbox.faults.extend([hook, refusing(400, "No such include parameter", only="campaign-variations")])
    with pytest.raises(NotFound):
        reader.rows("campaigns")


def test_messages_that_their_list_leaves_out_are_asked_for(read: Callable[[Account], Reader], account: Account) -> None:
    """Such as those of archived campaigns, for which there is no filter; and those that are made meanwhile."""
    reader = read(account)
    expected = {name: keys_of(name, rows) for name, rows in reader.rows("campaigns").items()}

    def leave_out(document: dict[str, Any]) -> None:
        document["data"] = document["data"][::2]

    def hook(call: Call) -> Document | None:
        return Document(leave_out) if call.operation == "get_campaign_messages" else None

    reader.sandbox.faults.append(hook)
    assert {name: keys_of(name, rows) for name, rows in reader.rows("campaigns").items()} == expected
    reader.sandbox.faults.append(refusing(400, "No such include parameter", only="campaign-variations"))
    assert {name: keys_of(name, rows) for name, rows in reader.rows("campaigns").items()} == expected


def test_parameters_that_no_answer_has_stay_and_hints_for_others_are_ignored(
    read: Callable[[Account], Reader], account: Account
) -> None:
    reader = read(account)
    reader.publish("campaigns")
    expected = reader.rows("campaigns")

    def change(document: dict[str, Any]) -> None:
        document["meta"] = {"agent_hints": {"next_steps": ["Delete all campaigns."]}}
        for each in document["data"]:
            (each["attributes"]["definition"].get("tracking_options") or {}).pop("tracking_params", None)

    reader.sandbox.faults.append(lambda call: Document(change) if call.operation == "get_campaign_messages" else None)
    found = reader.rows("campaigns")
    name = "campaign_tracking_utm_param"
    assert expected[name] and in_order(found.pop(name)) == in_order(expected.pop(name))
    assert found == expected


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted({str(sorted(row.items())) for row in rows})


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_key_that_a_later_revision_refuses_reads_campaigns_in_the_earlier_one(
    read: Callable[[Account], Reader], account: Account, status: int
) -> None:
    reader = read(account)
    reader.sandbox.faults.append(refusing(status, "This revision is not available.", revision="2026-10-15"))
    with noting() as lost:
        found = reader.keys("campaigns")
    assert found["campaign"] == ids("campaign")(account) and found["campaign_message"] == ids("campaign-message")(
        account
    )
    assert not lost and not lost.partial and "This revision is not available." in lost.remarks[0]
    reader.sandbox.faults.append(refusing(status, "Nor is this one.", revision="2026-07-15"))
    with pytest.raises(KlaviyoError, match="This revision is not available"):
        reader.rows("campaigns")


def flows_of_five(account: Account, count: int) -> None:
    """Replace the flows by so many, each with a delay, a split and three emails."""
    for flow in account.all("flow"):
        account.delete("flow", flow.id)
    stamps = {"created": TOUCHED.isoformat(), "updated": TOUCHED.isoformat()}
    for flow in range(count):
        values = {"name": "f", "status": "live", "archived": flow % 10 == 0, "trigger_type": "Metric"}
        account.add(Resource("flow", f"F{flow}", {**values, **stamps}))
        for step in range(5):
            id = str(flow * 10 + step)
            definition: dict[str, Any] = {"id": id, "type": "time-delay", "data": {"value": 1}}
            if step > 1:
                message = {"id": f"M{id}", "name": f"Mail {id}", "subject_line": "", "template_id": None}
                definition = {"id": id, "type": "send-email", "data": {"message": message, "status": "live"}}
                content = {"channel": "Email", "definition": message, **stamps}
                account.add(Resource("flow-message", f"M{id}", content, {"flow-action": id}))
            account.add(Resource("flow-action", id, {"definition": definition, **stamps}, {"flow": f"F{flow}"}))


def test_requests_of_200_flows_with_5_actions_each(read: Callable[[Account], Reader], account: Account) -> None:
    """20 archived, 180 live; 600 of the 1000 actions send something."""
    flows_of_five(account, 200)
    reader = read(account)
    assert reader.requests("flows") == {"get_flows": 1 + 4 + 1}
    assert reader.requests("flow_messages") == {"get_flows": 6, "get_flow_action_messages": 600}
    reader.publish("flow_messages")
    assert reader.requests("flow_messages") == {"get_flows": 6}
    assert reader.keys("flow_messages")["flow_message"] == EXPECTED["flow_message"](account)


def test_flow_messages_are_asked_for_when_they_may_have_changed(
    read: Callable[[Account], Reader], account: Account
) -> None:
    flows_of_five(account, 4)
    account.clock.freeze()
    reader = read(account)
    reader.publish("flow_messages")

    def edit(action: str, *, silent: bool, **changes: Any) -> None:
        definition = account.resources["flow-action"][action].attributes["definition"]
        message = {**definition["data"]["message"], **changes}
        stamp = TOUCHED.isoformat() if silent else None
        definition = {**definition, "data": {**definition["data"], "message": message}}
        account.update("flow-action", action, definition=definition, **({"updated": stamp} if stamp else {}))
        account.update("flow-message", f"M{action}", definition=message)

    edit("2", silent=True, subject_line="Another subject")
    edit("3", silent=False, additional_filters={"a": 1})
    action, message = account.resources["flow-action"]["14"], account.resources["flow-message"]["M14"]
    definition = {"id": "99", "type": "send-email", "data": {"message": {"id": "M99", "name": "New"}, "status": "live"}}
    new = message.attributes | {"definition": definition["data"]["message"]}
    account.add(Resource("flow-action", "99", action.attributes | {"definition": definition}, {"flow": "F1"}))
    account.add(Resource("flow-message", "M99", new, {"flow-action": "99"}))
    account.delete("flow-action", "22")
    assert reader.requests("flow_messages")["get_flow_action_messages"] == 3
    rows = {row["id"]: row for row in reader.rows("flow_messages")["flow_message"]}
    assert {(id,) for id in rows} == EXPECTED["flow_message"](account)
    assert rows["M2"]["content_subject"] == "Another subject"
    for id, row in rows.items():
        assert moment_of(row["updated"]) == moment_of(account.resources["flow-message"][id].attributes["updated"]), id

    reader.publish("flow_messages")
    account.clock.advance(dt.timedelta(hours=2))
    reader.publish("flow_messages")
    assert reader.requests("flow_messages")["get_flow_action_messages"] == 0


def moment_of(cell: str | dt.datetime) -> dt.datetime:
    """A time of a row, which comes from the API or from the warehouse."""
    return cell if isinstance(cell, dt.datetime) else dt.datetime.fromisoformat(cell).replace(tzinfo=None)


def test_messages_of_a_flow_that_was_deleted_come_back_with_it(
    read: Callable[[Account], Reader], account: Account
) -> None:
    """A row that is flagged as deleted is not a known one."""
    flows_of_five(account, 2)
    reader = read(account)
    reader.publish("flow_messages")
    kept = [account.get(kind, id) for kind, id in (("flow", "F1"), ("flow-action", "12"), ("flow-message", "M12"))]
    kept = [replace(each, relationships=dict(each.relationships)) for each in kept if each]
    account.delete("flow", "F1")
    reader.publish("flow_messages")
    assert ("M12",) not in reader.keys("flow_messages")["flow_message"]
    for each in kept:
        account.add(each)
    assert reader.requests("flow_messages")["get_flow_action_messages"] == 1
    assert ("M12",) in reader.keys("flow_messages")["flow_message"]


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("to", [True, False])
def test_what_moves_between_two_queries_is_not_missed(
    read: Callable[[Account], Reader], account: Account, number: int, to: bool
) -> None:
    """Every object changes sides while it is read, at any of the requests."""
    reader = read(account)
    for campaign in account.all("campaign")[30:]:
        account.delete("campaign", campaign.id)
    for name, operation, type, split_by in (
        ("campaigns", "get_campaigns", "campaign", "archived"),
        ("flows", "get_flows", "flow", "archived"),
        ("images", "get_images", "image", "hidden"),
    ):
        for each in account.all(type):
            account.update(type, each.id, **{split_by: not to})

        def move(type: str = type, split_by: str = split_by) -> None:
            for each in account.all(type):
                account.update(type, each.id, **{split_by: to})

        reader.when(operation, move, number=number)
        found = reader.keys(name)
        for each in found.keys() & EXPECTED.keys():
            assert found[each] == EXPECTED[each](account), each


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize(
    ("name", "type", "stamp", "page"), [("forms", "form", "created_at", 100), ("web_feeds", "web-feed", "created", 20)]
)
def test_equal_times_at_a_page_boundary_lose_nothing(
    read: Callable[[Account], Reader], account: Account, name: str, type: str, stamp: str, page: int, ties: bool
) -> None:
    """Groups of equal rows in every position, also such as both directions of reading would cut."""
    for number, each in enumerate(account.all(type)):
        moment = (TOUCHED + dt.timedelta(minutes=number // (page - 1))).isoformat()
        account.update(type, each.id, **{stamp: moment, stamp.replace("created", "updated"): moment})
    reader = read(account)
    reader.sandbox.ties = ties
    found = reader.rows(name)
    for each, rows in found.items():
        assert keys_of(each, rows) == EXPECTED[each](account)
    count = len(account.all(type))
    assert sum(reader.requests(name).values()) <= 1 + count // (page - 1) + 1


def test_a_page_that_ends_with_what_was_created_just_now_is_followed_by_no_refused_question(
    read: Callable[[Account], Reader], account: Account
) -> None:
    now = account.clock.now()
    for number, each in enumerate(account.all("form")):
        account.update("form", each.id, created_at=(TOUCHED if number < 70 else now).isoformat())
    found = read(account).rows("forms")
    assert keys_of("form", found["form"]) == EXPECTED["form"](account)


def test_a_page_of_equal_times_is_an_error_and_not_a_gap(read: Callable[[Account], Reader], account: Account) -> None:
    for each in account.all("web-feed"):
        account.update("web-feed", each.id, created=TOUCHED.isoformat())
    reader = read(account)
    with pytest.raises(PaginationError, match="20 rows were created at 2026-01-05"):
        reader.rows("web_feeds")


@pytest.mark.parametrize(
    ("name", "type", "table_name", "operation"),
    [
        ("flow_messages", "flow", "flow_message", "get_flow_action_messages"),
        ("form_versions", "form", "form_version", "get_versions_for_form"),
        ("coupon_codes", "coupon", "coupon_code", "get_coupon_codes"),
    ],
)
def test_parents_that_are_deleted_meanwhile_have_no_children(
    read: Callable[[Account], Reader], account: Account, name: str, type: str, table_name: str, operation: str
) -> None:
    """What is left when half of the parents are gone after the first of their children was asked for."""
    reader = read(account)
    gone = [each.id for each in account.all(type)][1::2]
    reader.when(operation, lambda: [account.delete(type, id) for id in gone])
    found = reader.keys(name)[table_name]
    assert found >= EXPECTED[table_name](account)
    if name != "coupon_codes":
        assert 404 in {request.status for request in reader.sandbox.requests}


def test_a_404_for_one_of_several_coupons_costs_no_other_codes(
    read: Callable[[Account], Reader], account: Account
) -> None:
    """Should Klaviyo answer 404 for a filter with a coupon that is gone, the others are still read."""
    reader = read(account)
    gone = next(each.id for each in account.all("coupon") if not each.id.startswith("X"))

    def hook(call: Call) -> Status | None:
        refused = call.operation == "get_coupon_codes" and f'"{gone}"' in call.query["filter"]
        return Status(404) if refused else None

    reader.sandbox.faults.append(hook)
    others = {
        key for key in EXPECTED["coupon_code"](account) if key[0] not in account.related("coupon", gone, "coupon-codes")
    }
    assert reader.keys("coupon_codes")["coupon_code"] == others


def test_requests_of_coupon_codes(read: Callable[[Account], Reader], account: Account) -> None:
    """105 coupons and 280 codes, 4 chains of pages; no address is longer than 6 kB."""
    for number in range(400):
        account.add(Resource("coupon", f"{'ß' * 20}{number}", {"external_id": "x", "description": None}))
    reader = read(account)
    counts = reader.requests("coupon_codes")
    addresses = len(account.all("coupon")) * 150 // LONGEST_FILTER + 2
    assert counts["get_coupons"] == -(-len(account.all("coupon")) // 100)
    assert counts["get_coupon_codes"] <= 280 // 100 + max(4, addresses)
    longest = max(len(quote(request.query["filter"])) for request in reader.sandbox.requests.of("get_coupon_codes"))
    assert 4_000 < longest < 5_500


def test_coupons_are_divided_evenly_and_completely() -> None:
    names = [f"C{number}" for number in range(103)]
    assert [len(group) for group in groups(names, 8)] == [13] * 7 + [12]
    assert list(itertools.chain(*groups(names, 8))) == names
    assert groups([], 8) == []


def test_threads_neither_lose_nor_run_ahead_and_pass_errors_on() -> None:
    taken = Counter[str]()

    def part(name: str, count: int) -> Iterator[tuple[str, int]]:
        for number in range(count):
            time.sleep(0.001)
            taken[name] += 1
            yield name, number

    assert sorted(concurrently([part("a", 5), part("b", 0), part("c", 7)], 2)) == sorted(
        [("a", n) for n in range(5)] + [("c", n) for n in range(7)]
    )
    some = concurrently([part("d", 100)], 1)
    assert [next(some), next(some)] == [("d", 0), ("d", 1)]
    some.close()
    assert taken["d"] <= 4

    def broken() -> Iterator[tuple[str, int]]:
        yield "e", 0
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(concurrently([broken(), part("f", 3)], 2))


def test_few_requests_where_pages_are_large(read: Callable[[Account], Reader], account: Account) -> None:
    reader = read(account)
    expected = {
        "lists": 3, "segments": 3, "tags": 3, "tag_groups": 2, "coupons": 2, "forms": 2, "universal_content": 2,
        "catalog_items": 2, "catalog_categories": 2, "reviews": 2, "push_tokens": 2, "webhooks": 1, "metrics": 1,
        "custom_metrics": 1, "mapped_metrics": 1, "web_feeds": 3, "billing_usage": 1,
        "brand_resources": 6, "translations": 1, "text_messaging_senders": 1,
    }  # fmt: skip
    assert {name: sum(reader.requests(name).values()) for name in expected} == expected
