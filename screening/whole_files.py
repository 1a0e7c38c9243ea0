"""Files that a kill cannot leave half written."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose bytes take the place of `path` once all are on the disk; until then, what was there stays."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def write_json_whole(path: Path, value: Any) -> None:
    """Replace what `path` holds at once by this value as JSON, indented, in UTF-8."""
    text = json.dumps(value, indent=1) + "\n"
    with whole_file(path) as stream:
        stream.write(text.encode("utf-8"))
