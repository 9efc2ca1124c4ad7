"""The warehouse in a Postgres database. Its drivers are the extra `postgres`, imported only when they are used."""
