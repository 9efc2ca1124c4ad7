"""The warehouse in a Snowflake database. Its connector is the extra `snowflake`, imported only when it is used."""
