"""From pages to rows in Parquet files: in this process, or, of a long read, in others beside it."""
