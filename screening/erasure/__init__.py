"""Erasing a scan: bytes, pictures, results, names. A row with its hash stays, which keeps it from coming back."""
