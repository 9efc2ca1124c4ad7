"""The API key goes to Klaviyo and nowhere else, and nothing that comes from outside is run."""

from __future__ import annotations

import http.server
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.api import ApiUnavailable, KlaviyoClient
from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed
from klaviyo_assets.sandbox.api.errors import ApiError
from klaviyo_assets.sandbox.faults import Call, Document, Fault, Html403, Reset, Status
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables import events, profiles
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.extract import Extract
from klaviyo_assets.warehouse.spool import SpoolWriter, temporary_spool
from klaviyo_assets_tests.conftest import Project, failures, only
from klaviyo_assets_tests.expected import differences
from klaviyo_assets_tests.sandbox.samples import sample_account

KEY = "pk_f00dfacef00dfacef00dfacef00dfacef1"


def refusal(status: int) -> Status:
    return Status(status, body=ApiError(status, "invalid", f"Your key {KEY} is not right.").body())


FAILING: dict[str, Fault] = {
    "get_metrics": refusal(401),
    "get_profiles": refusal(400),
    "get_lists": Reset(),
    "get_campaigns": Html403(),
    "get_segments": Status(429, retry_after=3723),
    "get_templates": Document(lambda document: document["links"].update(next=f"https://other.example/?key={KEY}")),
    "get_coupons": refusal(503),
    "get_forms": refusal(404),
}


def test_the_key_is_in_nothing_that_a_failing_run_writes(
    project: Callable[..., Project],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its warehouse, its spools, Dagster's event log and computed logs, what it prints: all bytes of all files."""
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    monkeypatch.setattr("klaviyo_assets.api.retries._FIRST_DELAY", 0.001)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    caplog.set_level("DEBUG")
    account = generate_account(events=60, profiles=20, days=2, seed=1)
    account.keys = {KEY: None}
    klaviyo = project(account, tables=only("metric", "list", "campaign", "segment", "email_template", "coupon", "form"))

    def fail(call: Call) -> Fault | None:
        return FAILING.get(call.operation or "")

    klaviyo.sandbox.faults.append(fail)
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        result = klaviyo.definitions.resolve_job_def("klaviyo_sync").execute_in_process(
            instance=instance,
            run_config={"loggers": {"console": {"config": {"log_level": "DEBUG"}}}},
            raise_on_error=False,
        )
    told = "\n".join(failures(result))
    causes = {"not accept the API key", "InvalidRequest", "did not answer", "throttles", "NotFound", "PaginationError"}
    assert {name for name in causes if name not in told} == set()
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(b"InvalidRequest" in file.read_bytes() for file in written), "tracebacks were written"
    assert [file for file in written if KEY.encode() in file.read_bytes()] == []
    printed = "".join(capfd.readouterr()) + caplog.text + told + repr([vars(record) for record in caplog.records])
    assert "not accept the API key" in printed
    assert KEY not in printed


def test_a_server_with_a_certificate_of_its_own_gets_no_request(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl, to make a certificate")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem")]
    subprocess.run([*make.split(), *files], check=True, capture_output=True)
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    class Server(http.server.HTTPServer):
        def handle_error(self, *arguments: Any) -> None:
            pass  # the handshake that the client breaks off

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        url = f"https://localhost:{server.server_port}/api"
        client = KlaviyoClient(KEY, base_url=url, tries=1)
        with client, pytest.raises(ApiUnavailable, match="self-signed certificate"):
            client.get("get_lists", "lists")
        assert asked == []
    finally:
        server.shutdown()
        server.server_close()


def test_the_sandbox_is_reached_from_this_machine_only() -> None:
    with Sandbox(sample_account()) as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        port = int(sandbox.url.split(":")[-1].split("/")[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing; says which address this machine has elsewhere
            elsewhere = probe.getsockname()[0]
        if elsewhere != "127.0.0.1":
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((elsewhere, port), timeout=5)


def test_a_settings_file_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "klaviyo.yaml"
    file.write_text(f"name: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']\n")
    monkeypatch.setenv("KLAVIYO_SETTINGS", str(file))
    with pytest.raises(Exception, match="python/object/apply"):
        Settings()
    assert not (tmp_path / "made").exists()


def test_every_locked_dependency_has_a_hash() -> None:
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9._-]+(?:\[[^\]]*\])?==[^\s;]+)[^\n]*\\?\n((?:    --hash=.*\n)*)", lock, re.MULTILINE)
    assert len(pinned) > 50
    assert [name for name, hashes in pinned if "--hash=sha256:" not in hashes] == []
    assert len(pinned) == len(re.findall(r"^[a-z]", lock, re.MULTILINE)), "nothing is there that is not pinned"


# Names and values of properties, all the way from the API into SQL

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SQL = st.sampled_from(
    [
        '"); drop table event; --',
        "'; drop schema klaviyo cascade; --",
        '"',
        "'",
        "\\",
        "${x}",
        "{}",
        "%s",
        "?",
        "\x00",
        "--",
    ]
)
NAMES = (
    TEXT | SQL | st.builds(lambda a, b: a + b, SQL, TEXT) | st.sampled_from(["id", "select", "_overflow", "__overflow"])
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | SQL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
PROPERTIES = st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=4)


@settings(deadline=None, max_examples=15)
@given(PROPERTIES)
def test_no_property_gets_anywhere_but_into_its_own_cell(rows: list[dict[str, Any]]) -> None:
    account = Account()
    now = account.clock.now()
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    for number, properties in enumerate(rows):
        account.add_event(None, now, properties=properties)
        attributes = {
            "created": stamp,
            "updated": stamp,
            "location": {},
            "properties": properties,
            "subscriptions": never_subscribed(),
        }
        account.add(Resource("profile", f"01J{number:023d}", attributes))
    with tempfile.TemporaryDirectory() as folder, Sandbox(account) as sandbox:
        warehouse = DuckDBWarehouse(database=f"{folder}/warehouse.duckdb")
        with KlaviyoClient("pk_sandbox", base_url=sandbox.url) as client:
            event = client.get("get_events", "events", {"include": "attributions"})
            person = client.get("get_profiles", "profiles", {"additional-fields[profile]": "subscriptions"})
        for spec, columns in (
            (events.EVENT, events.columns(event.content, events.EventContext({}, {}))),
            (profiles.PERSON, profiles.columns(person.content)),
        ):
            with temporary_spool() as spool:
                writer = SpoolWriter(spec, spool)
                writer.add(columns)
                writer.close()
                warehouse.load(Extract(spec), spool)
        assert differences(account, warehouse, "event", ("id",)) == []
        assert differences(account, warehouse, "person", ("id",)) == []
        tables = warehouse.query("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1")
        assert tables == [("_columns",), ("_loads",), ("_sync_state",), ("event",), ("person",)]
