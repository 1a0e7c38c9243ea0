"""The database: engine and transactions, and the tables."""
