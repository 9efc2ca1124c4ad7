"""A Klaviyo account in your own warehouse, every table a Dagster asset."""
