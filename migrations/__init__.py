"""Alembic migrations: the only way in which a schema reaches a database."""
