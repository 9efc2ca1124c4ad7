"""The Klaviyo account and its warehouse as a Dagster resource."""

import datetime as dt
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from klaviyo_assets import clock, environment
from klaviyo_assets.api import InvalidApiKey, KlaviyoClient, KlaviyoError, NotPermitted, RateLimited
from klaviyo_assets.assets.advice import advised, of_klaviyo
from klaviyo_assets.assets.ahead import ReadsAhead
from klaviyo_assets.assets.identity import SCOPE, confirm
from klaviyo_assets.dagster_storage.default import keep_open
from klaviyo_assets.privacy.policy import MissingSalt, salt
from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.shared_limits.counting import NobodyCounts
from klaviyo_assets.shared_limits.making import Counting, shared_limits
from klaviyo_assets.shared_limits.place import NONE
from klaviyo_assets.tables.accounts import NAME, account_named
from klaviyo_assets.warehouse.errors import AnotherAccount
from klaviyo_assets.warehouse.results import AccountIdentity
from klaviyo_assets.warehouse.state import States
from klaviyo_assets.warehouse.warehouse import Warehouse

CONNECT_TIMEOUT = 10.0

APART = dt.timedelta(hours=1)
"""How far the clocks of this machine and of Klaviyo may be apart."""


_begun: set[tuple[str, str]] = set()
"""Runs and key variables: `dagster job execute` makes the resources once more when the run is over."""


class KlaviyoAccount(dg.ConfigurableResource["KlaviyoAccount"]):
    """One Klaviyo account and the warehouse it goes to; all assets of a run share its connections and rate limits.

    The key and the salt are read from the environment when a run needs them, so that they are in no run's config.
    `build_definitions` makes one for each account, called `klaviyo_account` if the account is `klaviyo`.

    Example:
        >>> @dg.asset(required_resource_keys={"klaviyo_account"})
        ... def names_of_lists(context: dg.AssetExecutionContext) -> list[str]:
        ...     pages = context.resources.klaviyo_account.client.pages("get_lists", "/lists", {"sort": "id"})
        ...     return [each["attributes"]["name"] for page in pages for each in page.json()["data"]]
        >>> from klaviyo_assets.sandbox import Sandbox
        >>> from klaviyo_assets.sandbox.shop.generate import generate_account
        >>> from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
        >>> with Sandbox(generate_account(events=0, profiles=10)) as sandbox:
        ...     warehouse = DuckDBWarehouse(database="warehouse.duckdb")
        ...     account = KlaviyoAccount(warehouse=warehouse, api_url=sandbox.url)  # the key is in KLAVIYO_API_KEY
        ...     result = dg.materialize([names_of_lists], resources={"klaviyo_account": account})
        >>> "Newsletter" in result.output_for_node("names_of_lists")
        True
    """

    warehouse: dg.ResourceDependency[Warehouse]
    api_key_variable: str = Field(
        default="KLAVIYO_API_KEY", description="Name of the environment variable that holds the private API key."
    )
    api_url: str = Field(default="https://a.klaviyo.com/api", description="Base URL of the API.")
    max_concurrency: int = Field(
        default=12, description="How many requests may be under way at a time, over all tables."
    )
    rate_share: str = Field(default="1", description="The part of the rate limits that each process may use.")
    rate_limits: str = Field(default="", description="Where the requests of all processes are counted.")
    rate_limits_variable: str | None = Field(
        default=None, description="Name of the environment variable that holds that address with its password."
    )
    request_timeout: float = Field(default=120.0, description="Seconds that Klaviyo may be silent during a request.")
    hash_salt_variable: str | None = Field(
        default=None, description="Name of the environment variable that holds the salt, if columns are hashed."
    )
    sparse_fields: dict[str, dict[str, str]] = Field(
        default={}, description="Operation of the API -> parameters that leave out the fields of blocked columns."
    )

    shows_name: bool = Field(default=True, description="Whether the warehouse may hold the organization's name.")

    _client: KlaviyoClient | None = PrivateAttr(default=None)
    _shared_limits: Counting | None = PrivateAttr(default=None)
    _identity: AccountIdentity | None = PrivateAttr(default=None)
    _asked: bool = PrivateAttr(default=False)
    _confirmed: bool = PrivateAttr(default=False)
    _ahead: ReadsAhead = PrivateAttr(default_factory=ReadsAhead)

    @property
    def ahead(self) -> ReadsAhead:
        """The reads of the run that have begun before their steps."""
        return self._ahead

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Ask Klaviyo a first question: a run that gets no answer ends here, and says so once and not in each step.

        Dagster's events are stored as `dagster_storage` does it from now on, if they go to SQLite.

        Raises dagster.Failure without a key, with one that Klaviyo does not know, if nobody answers as Klaviyo, and if
        the clocks are apart.
        """
        if context.instance:
            keep_open(context.instance)
        first = (context.run.run_id, self.api_key_variable) if context.run else None
        if first is None or first in _begun:
            return
        _begun.add(first)
        try:
            self.identity()
            self.now()
        except (NotPermitted, RateLimited):
            pass  # an answer as well; each step finds out what it may read
        except KlaviyoError as error:
            raise self._failure(error) from None

    def _failure(self, error: KlaviyoError) -> dg.Failure:
        return dg.Failure(of_klaviyo(error, self.api_key_variable), allow_retries=False)

    @property
    def client(self) -> KlaviyoClient:
        """The API client; raises dagster.Failure if there is no API key, or no salt and columns to hash."""
        if self._client is None:
            key = environment.get(self.api_key_variable)
            if not key:
                raise dg.Failure(
                    f"There is no Klaviyo API key. Set the environment variable {self.api_key_variable} to a private "
                    "API key (in Klaviyo: Settings > API keys > Create Private API Key, read-only access), in .env for "
                    "example. To try without a Klaviyo account: `klaviyo-assets demo`.",
                    allow_retries=False,
                )
            if self.hash_salt_variable:
                try:
                    salt(self.hash_salt_variable)
                except MissingSalt as error:
                    raise dg.Failure(str(error), allow_retries=False) from None
            try:
                self._shared_limits = shared_limits(self.rate_limits, self.rate_limits_variable, self.warehouse, key)
                self._client = KlaviyoClient(
                    key,
                    base_url=self.api_url,
                    max_concurrency=self.max_concurrency,
                    timeout=(CONNECT_TIMEOUT, self.request_timeout),
                    defaults=self.sparse_fields,
                    share=Fraction(self.rate_share),
                    shared_limits=self._shared_limits,
                    paced=self.rate_limits != NONE,
                )
            except (InvalidApiKey, NobodyCounts) as error:
                raise self._failure(error) from None
            except ValueError:
                raise dg.Failure(
                    "The setting `api_url` has to be an address such as https://a.klaviyo.com/api, without a user, a "
                    "password or a query in it.",
                    allow_retries=False,
                ) from None
        return self._client

    def start(self, log: Callable[[str], object], tables: Iterable[TableSpec] = ()) -> tuple[dt.datetime, int, States]:
        """Return what a step has to know before it reads; make sure that its rows may go where they are to go.

        That is: Klaviyo's time, or this machine's if that is earlier, aware; the number of the read; and
        (table, scope) -> how far it is synced.

        log: takes a warning about what had to be mended, and about a key that can't say whose it is.
        tables: that the step reads, as the settings have them written.
        Raises dagster.Failure if the clocks of Klaviyo and of this machine are apart, or if the warehouse holds the
        rows of another account. Raises WarehouseError if a view is in the place of one of the tables.
        """
        try:
            account, now = self.identity(), self.now()
            with advised():
                warning = None
                if not self._confirmed:
                    warning = confirm(self.client, self.warehouse, account, self.api_key_variable)
                    self._confirmed = True
                read = self.warehouse.begin(now=now, account=account, tables=tables)
        except AnotherAccount as error:
            told = "" if self._identity else f"Give the key the scope {SCOPE} to have Klaviyo tell whose it is. "
            raise dg.Failure(
                f"{error} {told}If {self.api_key_variable} has the right key, choose another place with `warehouse` "
                "or `schema`: each holds one account.",
                allow_retries=False,
            ) from None
        for sentence in (*read.mended, *([warning] if warning else ())):
            log(sentence)
        return now, read.number, read.states

    def now(self) -> dt.datetime:
        """Return the time; raise dagster.Failure if Klaviyo and this machine's clock tell different ones.

        Of two that are a little apart the earlier one counts: a watermark ahead of the rows would skip some, one
        behind them only has some read twice.
        """
        theirs, ours = self.client.now(), clock.machine_time()
        if abs(theirs - ours) > APART:  # as after a sleep of the machine, which is no part of its monotonic time
            theirs, ours = self.client.now(refresh=True), clock.machine_time()
        if abs(theirs - ours) > APART:
            raise dg.Failure(
                f"The clocks are apart: Klaviyo's answers say {theirs:%Y-%m-%d %H:%M} UTC, this machine says "
                f"{ours:%Y-%m-%d %H:%M} UTC. Nothing was read. Set this machine's clock; if it is right, look at what "
                f"answers at {self.api_url}.",
                allow_retries=False,
            )
        return min(theirs, ours)

    def identity(self) -> AccountIdentity | None:
        """Return the account that the API key is of; None if the key may not read it (scope accounts:read)."""
        if not self._asked:
            fields = {"fields[account]": NAME if self.shows_name else "id"}
            try:
                found = account_named(self.client.get("get_accounts", "/accounts", fields, many=True).json())
                self._identity = AccountIdentity(*found) if found else None
            except NotPermitted:
                self._identity = None
            self._asked = True
        return self._identity

    def usage(self) -> Callable[[], dict[str, Any]]:
        """Return a function that says what has been used of the API since now, as asset metadata."""
        stats = self.client.stats
        began, before = time.monotonic(), stats.counts()

        def used() -> dict[str, Any]:
            use = stats.counts() - before
            return {
                "requests": use.requests,
                "retries": use.retries,
                "requests_throttled": use.throttled,
                "seconds_waited_for_rate_limits": round(use.seconds_waited, 3),
                "bytes_received": use.bytes,
                "seconds_reading": round(time.monotonic() - began, 3),
            }

        return used

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
        self.ahead.close()
        self._client = None  # not before: reads that nobody waits for would make another one, and go on
        if self._shared_limits is not None:
            self._shared_limits.close()
            self._shared_limits = None
