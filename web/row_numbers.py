"""Numbers of rows in the address of a page."""

from flask import request

from screening.database.base import LARGEST_ID


def row_number(name: str) -> int | None:
    """The number of this name; None for what is no number. One that fits no database is cut to what does."""
    given = request.args.get(name, type=int)
    return None if given is None else max(0, min(given, LARGEST_ID))
