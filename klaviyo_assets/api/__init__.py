"""The Klaviyo API: a client that waits, retries and pages, filters, and reading a range of time concurrently."""

from klaviyo_assets.api.client import BASE_URL, KlaviyoClient
from klaviyo_assets.api.errors import (
    ApiUnavailable,
    ForeignAnswer,
    InvalidApiKey,
    InvalidRequest,
    KlaviyoError,
    MissingScope,
    NotFound,
    NotPermitted,
    PaginationError,
    RateLimited,
)
from klaviyo_assets.api.filters import (
    Filter,
    all_of,
    any_of,
    between,
    equals,
    greater_or_equal,
    greater_than,
    has,
    less_or_equal,
    less_than,
    strictly_between,
)
from klaviyo_assets.api.limiter import SharedLimits, Window
from klaviyo_assets.api.page import Page, attribute_times
from klaviyo_assets.api.revision import REVISION, revision_support
from klaviyo_assets.api.stats import Counts, Stats
from klaviyo_assets.api.windows import MARGIN, Progress, read_windows

__all__ = [
    "BASE_URL",
    "MARGIN",
    "REVISION",
    "ApiUnavailable",
    "Counts",
    "Filter",
    "ForeignAnswer",
    "InvalidApiKey",
    "InvalidRequest",
    "KlaviyoClient",
    "KlaviyoError",
    "MissingScope",
    "NotFound",
    "NotPermitted",
    "Page",
    "PaginationError",
    "Progress",
    "RateLimited",
    "SharedLimits",
    "Stats",
    "Window",
    "all_of",
    "any_of",
    "attribute_times",
    "between",
    "equals",
    "greater_or_equal",
    "greater_than",
    "has",
    "less_or_equal",
    "less_than",
    "read_windows",
    "revision_support",
    "strictly_between",
]
