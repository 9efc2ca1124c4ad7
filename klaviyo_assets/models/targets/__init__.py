"""Where dbt builds the models, for each database."""
