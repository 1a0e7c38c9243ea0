"""The limited child: `python -m screening.radiographs.child decode|unpack OPTIONS`. Speaks frames on stdin and stdout.

decode  answers each request (a file and a rendition spec) with its pictures and facts, or with a problem.
unpack  sends the members of the container that is open as a given file descriptor, then an end or a problem.
"""

import gc
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from screening.radiographs import frames
from screening.radiographs.containers import members
from screening.radiographs.facts import Prepared
from screening.radiographs.limited import took_too_much_memory
from screening.radiographs.limits import ContainerLimits, DecodeLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition_spec import RenditionSpec

Prepare = Callable[[bytes, RenditionSpec, DecodeLimits], Prepared]

_FILES = 64
_SPARE_SECONDS = 5


def main(task: str, options: dict[str, Any]) -> None:
    requests, answers = _take_pipes()
    if task == "decode":
        # Unpacking needs no pixels, so the libraries that hold them are loaded for decoding alone.
        from PIL import Image

        from screening.radiographs.prepare import prepare

        Image.MAX_IMAGE_PIXELS = None  # `max_pixels` takes its place: it is checked earlier, and can be set.
        limits = DecodeLimits(**options)
        restrict(limits.memory_bytes)
        frames.write(answers, {"ready": True})
        serve_decoding(requests, answers, limits, prepare)
    else:
        file = os.fdopen(options.pop("fd"), "rb")
        container_limits = ContainerLimits(**options)
        restrict(container_limits.memory_bytes)
        frames.write(answers, {"ready": True})
        serve_unpacking(answers, file, container_limits)


def restrict(memory_bytes: int) -> None:
    """Put on the limits that last: memory, no files written, no core dump, few descriptors.

    Interrupts are the parent's business: a Ctrl-C that reaches the whole process group must not look like a crash.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for limit, wanted in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        hard = resource.getrlimit(limit)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (value, value))


def allow_processor_time(seconds: float) -> None:
    """Let this process use so many seconds more; the kernel ends it after that, whatever it does."""
    until = math.ceil(time.process_time() + seconds) + _SPARE_SECONDS
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (until if hard == resource.RLIM_INFINITY else min(until, hard), hard))


def serve_decoding(requests: BinaryIO, answers: BinaryIO, limits: DecodeLimits, prepare: Prepare) -> None:
    """Answer requests until the parent closes the pipe."""
    while (request := frames.read(requests, limits.max_file_bytes + 1)) is not None:
        header, parts = request
        allow_processor_time(limits.seconds)
        try:
            made = prepare(parts[0], RenditionSpec.from_dict(header["spec"]), limits)
        except Unscreenable as problem:
            frames.write(answers, _as_header(problem))
        except MemoryError:
            # What is left of the address space may be in pieces: answer, and let the parent start a fresh child.
            frames.write(answers, _as_header(took_too_much_memory()))
            return
        else:
            answer = {
                "facts": made.facts.as_dict(),
                "rendition_size": made.rendition_size,
                "display_size": made.display_size,
                "seconds": made.seconds,
            }
            frames.write(answers, answer, (made.rendition_png, made.display_jpeg))
        del header, parts, request


def serve_unpacking(answers: BinaryIO, file: BinaryIO, limits: ContainerLimits) -> None:
    """Send every member of one container, then the end or the problem that stopped it."""
    allow_processor_time(limits.seconds_per_member)
    try:
        for member in members(file, limits):
            header: dict[str, Any] = {"name": member.name}
            if member.problem is not None:
                header |= _as_header(member.problem)
            frames.write(answers, header, (member.data,) if member.data is not None else ())
            allow_processor_time(limits.seconds_per_member)
        frames.write(answers, {"end": True})
    except Unscreenable as problem:
        frames.write(answers, {"end": True, **_as_header(problem)})
    except MemoryError:
        gc.collect()
        frames.write(answers, {"end": True, **_as_header(took_too_much_memory())})


def _as_header(problem: Unscreenable) -> dict[str, Any]:
    return {"problem": {"code": problem.code, "sentence": problem.sentence}}


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for frames, and give a decoder that prints something nowhere to print it."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return requests, answers


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
