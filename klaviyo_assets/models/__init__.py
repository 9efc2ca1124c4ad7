"""The models: a dbt project of campaigns, flows and people, its assets, and the report."""
