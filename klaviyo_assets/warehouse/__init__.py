"""Where the rows go: typed batches, a Parquet spool, one short transaction. Nothing here has heard of Klaviyo."""
