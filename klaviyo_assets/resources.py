"""The Klaviyo account and its warehouse as a Dagster resource."""

import os
import time
from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from klaviyo_assets.api import KlaviyoClient, KlaviyoError, NotFound, NotPermitted, RateLimited
from klaviyo_assets.privacy import MissingSalt, salt
from klaviyo_assets.warehouse.duckdb import DuckDBWarehouse

CONNECT_TIMEOUT = 10.0


_asked: set[tuple[str, str]] = set()
"""Runs and key variables: `dagster job execute` makes the resources once more when the run is over."""


class KlaviyoAccount(dg.ConfigurableResource):
    """One Klaviyo account and the warehouse it goes to; all assets of a run share its connections and rate limits.

    The key and the salt are read from the environment when a run needs them, so that they are in no run's config.
    """

    warehouse: dg.ResourceDependency[DuckDBWarehouse]
    api_key_variable: str = Field(
        default="KLAVIYO_API_KEY", description="Name of the environment variable that holds the private API key."
    )
    api_url: str = Field(default="https://a.klaviyo.com/api", description="Base URL of the API.")
    max_concurrency: int = Field(default=12, description="Most requests at a time, over all tables.")
    request_timeout: float = Field(default=120.0, description="Seconds that Klaviyo may be silent during a request.")
    hash_salt_variable: str | None = Field(
        default=None, description="Name of the environment variable that holds the salt, if columns are hashed."
    )
    sparse_fields: dict[str, dict[str, str]] = Field(
        default={}, description="Operation of the API -> parameters that leave out the fields of blocked columns."
    )

    _client: KlaviyoClient | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Ask Klaviyo a first question: a run that gets no answer ends here, and says so once and not in each step.

        Raises dagster.Failure without a key, with one that Klaviyo does not know, and if nobody answers as Klaviyo.
        """
        first = (context.run.run_id, self.api_key_variable) if context.run else None
        if first is None or first in _asked:
            return
        _asked.add(first)
        try:
            self.client.get("get_accounts", "/accounts", {"fields[account]": "id"})
        except (NotPermitted, RateLimited):
            pass  # an answer as well; each step finds out what it may read
        except NotFound:
            raise dg.Failure(
                "The address in the setting `api_url` is not that of Klaviyo's API, which ends with /api. "
                "Its default is right for every account.",
                allow_retries=False,
            ) from None
        except KlaviyoError as error:
            raise dg.Failure(str(error), allow_retries=False) from None

    @property
    def client(self) -> KlaviyoClient:
        """The API client; raises dagster.Failure if there is no API key, or no salt and columns to hash."""
        if self._client is None:
            key = os.environ.get(self.api_key_variable)
            if not key:
                raise dg.Failure(
                    f"There is no Klaviyo API key. Set the environment variable {self.api_key_variable} to a private "
                    "API key (in Klaviyo: Settings > API keys > Create Private API Key, read-only access), in .env for "
                    "example. To try without a Klaviyo account: `make demo`.",
                    allow_retries=False,
                )
            if self.hash_salt_variable:
                try:
                    salt(self.hash_salt_variable)
                except MissingSalt as error:
                    raise dg.Failure(str(error), allow_retries=False) from None
            try:
                self._client = KlaviyoClient(
                    key,
                    base_url=self.api_url,
                    max_concurrency=self.max_concurrency,
                    timeout=(CONNECT_TIMEOUT, self.request_timeout),
                    defaults=self.sparse_fields,
                )
            except ValueError:
                raise dg.Failure(
                    "The setting `api_url` has to be an address such as https://a.klaviyo.com/api, without a user, a "
                    "password or a query in it.",
                    allow_retries=False,
                ) from None
        return self._client

    def usage(self) -> Callable[[], dict[str, Any]]:
        """Return a function that says what has been used of the API since now, as asset metadata."""
        began, before = time.monotonic(), self.client.stats.snapshot()

        def used() -> dict[str, Any]:
            use = self.client.stats.snapshot() - before
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
            self._client = None
