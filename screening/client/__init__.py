"""The HTTP client of the `screening` command. It needs nothing of the server's side: no database, no engine."""
