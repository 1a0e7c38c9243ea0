"""Cursors of keyset pages: a few values as text that fits an address, and back."""

import base64
import json
from collections.abc import Callable
from typing import Any, TypeVar

from screening.errors import Refused

T = TypeVar("T")


def encode_cursor(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, read: Callable[..., T]) -> T:
    """What `read` makes of the values. Raises Refused for a cursor that was not made here, or that `read` cannot take
    (ValueError, TypeError, OverflowError)."""
    try:
        return read(*json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))))
    except (ValueError, TypeError, OverflowError, RecursionError):  # the last where it is nested without end
        raise Refused("bad_cursor", "This cursor is not understood. Start again without one.") from None
