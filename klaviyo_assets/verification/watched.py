"""A warehouse of which each step is seen before it is taken, so that it can be counted, named or prevented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.warehouse import Warehouse

_STEPS = ("sql", "change", "arrow", "parts", "stage", "write", "add_columns", "widen", "commit")
"""Methods of a session that ask something of the database."""


def watched(warehouse: Warehouse, watch: Callable[[str], None]) -> Warehouse:
    """Return the same warehouse, which tells `watch` each statement, or what it is about to do; that may raise."""
    kind: Any = type(warehouse)

    class Watched(kind):  # type: ignore[misc]
        @contextmanager
        def session(self, *, writes: bool) -> Iterator[Session]:
            with super().session(writes=writes) as session:
                for name in _STEPS:
                    setattr(session, name, _told(getattr(session, name), name, watch))
                yield session

    made: Warehouse = Watched(**{name: getattr(warehouse, name) for name in kind.model_fields})
    return made


def _told(step: Callable[..., Any], name: str, watch: Callable[[str], None]) -> Callable[..., Any]:
    @wraps(step)
    def tell(*arguments: Any, **options: Any) -> Any:
        watch(arguments[0] if name in ("sql", "change", "arrow", "parts") else name)
        return step(*arguments, **options)

    return tell
