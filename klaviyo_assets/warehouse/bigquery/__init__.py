"""The warehouse in BigQuery. Its client is the extra `bigquery`, imported only when it is used."""
