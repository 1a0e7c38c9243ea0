"""Uploads that find no room are refused: before they begin by their declared size, and while they stream."""

from typing import IO, cast

from screening.errors import Later
from screening.upkeep.capacity import Capacity

MOST_DRAINED = 32 << 20
DRAINED_AT_ONCE = 1 << 18


def watched_body(body: IO[bytes], declared: int | None, capacity: Capacity, lane: int) -> IO[bytes]:
    """The body of an upload, which ends in Full where the disk fills up while it comes in.

    Raises Full or Busy at once where its declared size does not fit or too much waits. A moderate body is then read
    and dropped, because senders that are still writing when the connection closes often miss the answer.
    """
    try:
        capacity.check(lane, declared or 0)
    except Later:
        if declared is not None and declared <= MOST_DRAINED:
            while body.read(DRAINED_AT_ONCE):
                pass
        raise
    return cast(IO[bytes], _Watched(body, capacity))


class _Watched:
    def __init__(self, body: IO[bytes], capacity: Capacity) -> None:
        self._body = body
        self._capacity = capacity

    def read(self, size: int) -> bytes:
        # Several uploads that each would have fitted alone may come at once, or other programs fill the disk.
        self._capacity.check_space(0)
        return self._body.read(size)
