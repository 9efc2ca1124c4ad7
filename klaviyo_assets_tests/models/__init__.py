"""The models, built by dbt."""
