"""Unpacking of untrusted containers, in a limited child process of its own. Standard library only."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from screening.radiographs.containers import Member
from screening.radiographs.frames import BrokenFrame
from screening.radiographs.limited import ChildDied, ChildTimeout, LimitedChild, crashed, took_too_long
from screening.radiographs.limits import ContainerLimits
from screening.radiographs.problems import Unscreenable


def unpack(path: Path, limits: ContainerLimits | None = None) -> Iterator[Member]:
    """Yield the members of the zip or tar file at `path`, one at a time; nothing is ever written to a disk.

    A member that cannot be taken carries its problem, and the others go on. Raises Unscreenable for a problem of the
    whole container, which may come after members that were fine (a tar file that is cut off, a bomb that shows late).
    Time that the caller spends on a member does not count.
    """
    limits = limits or ContainerLimits()
    with path.open("rb") as file:
        child = LimitedChild("unpack", {"fd": file.fileno(), **asdict(limits)}, pass_fd=file.fileno())
    try:
        while True:
            header, parts = child.receive(
                time.monotonic() + limits.seconds_per_member, most_body_bytes=limits.max_member_bytes
            )
            problem = None
            if "problem" in header:
                problem = Unscreenable(header["problem"]["code"], header["problem"]["sentence"])
            if "end" in header:
                if problem is not None:
                    raise problem
                return
            yield Member(header["name"], parts[0] if parts else None, problem)
    except ChildTimeout:
        raise took_too_long() from None
    except ChildDied:
        raise child.why_it_died() from None
    except BrokenFrame:
        raise crashed("answers that make no sense") from None
    finally:
        child.kill()
