"""The parts of tables that states speak of, besides those that the warehouse itself keeps (`warehouse.state`)."""

COMPLETE = "complete"
"""When all members of a group were last read."""

SWEEP = "sweep"
"""When all profiles were last looked for."""

PREDICTIVE_ANALYTICS = "predictive_analytics"
"""When the predictive analytics of all profiles were last read."""

REREAD = "reread"
"""Up to when the latest days were last read again."""

RECONCILIATION = "event_reconciliation"
"""When the numbers of events were last compared with Klaviyo's."""

CHANGED = "changed"
"""The import since which something was seen to have changed: its time."""
