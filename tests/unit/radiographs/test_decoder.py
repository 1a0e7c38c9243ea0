"""The limited child: its limits hold, what one file does to it never reaches the next, and it dies with its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from screening.radiographs import limited
from screening.radiographs.decoder import Decoder
from screening.radiographs.limited import ChildFailed
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition_spec import RenditionSpec
from tests.unit.radiographs.samples import dicom, jpeg, png

SPEC = RenditionSpec(side=64)
TRIGGER = b"\xff\xd8\xff\xffTRIGGER"

# A child in which files that start with TRIGGER do what a broken or hostile decoder could do.
HOSTILE_CHILD = """
import json, sys, os, time, signal
from screening.radiographs import child, prepare as module
honest = module.prepare
def prepare(data, spec, limits):
    if data.startswith({trigger!r}):
        exec(data[{length}:].decode())
    return honest(data, spec, limits)
module.prepare = prepare
child.main(sys.argv[1], json.loads(sys.argv[2]))
"""


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], bytes]:
    """Let children obey files made by the returned function, which takes the Python code that the file runs."""
    honest = limited.child_command

    def command(task: str, options: dict[str, Any]) -> list[str]:
        program = HOSTILE_CHILD.format(trigger=TRIGGER, length=len(TRIGGER))
        return [sys.executable, "-P", "-c", program, *honest(task, options)[-2:]]

    monkeypatch.setattr(limited, "child_command", command)
    return lambda code: TRIGGER + code.encode()


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as shared:
        yield shared


def refusal(decoder: Decoder, data: bytes) -> Unscreenable:
    with pytest.raises(Unscreenable) as caught:
        decoder.prepare(data, SPEC)
    return caught.value


def child_pid(decoder: Decoder) -> int:
    assert decoder._child is not None
    return decoder._child.pid


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int, seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_running(pid)


def test_the_child_makes_what_the_function_makes(decoder: Decoder) -> None:
    for data in (jpeg(), png(), dicom()):
        assert decoder.prepare(data, SPEC) == prepare(data, SPEC, DecodeLimits())


def test_reasons_come_through_and_the_child_lives_on(decoder: Decoder) -> None:
    decoder.prepare(jpeg(), SPEC)
    pid = child_pid(decoder)
    problem = refusal(decoder, jpeg()[:1500])
    assert problem.code == "truncated"
    assert "%" in problem.sentence
    assert refusal(decoder, b"").code == "empty"
    assert child_pid(decoder) == pid


def test_a_file_over_the_size_limit_never_reaches_the_child() -> None:
    with Decoder(DecodeLimits(max_file_bytes=10)) as decoder:
        assert refusal(decoder, jpeg()).code == "too_large"
        assert decoder._child is None


def test_an_endless_loop_is_stopped_and_the_next_file_works(hostile: Callable[[str], bytes]) -> None:
    with Decoder(DecodeLimits(seconds=1)) as decoder:
        decoder.prepare(jpeg(), SPEC)
        started = time.monotonic()
        problem = refusal(decoder, hostile("while True: pass"))
        assert problem.code == "timeout"
        assert problem.worth_a_retry
        assert time.monotonic() - started < 4
        assert decoder.prepare(jpeg(), SPEC).rendition_size == (51, 64)


@pytest.mark.parametrize("code", ["os.abort()", "os._exit(3)", "os.kill(os.getpid(), signal.SIGSEGV)", "1 / 0"])
def test_a_crash_costs_one_file_only(hostile: Callable[[str], bytes], code: str) -> None:
    with Decoder() as decoder:
        assert refusal(decoder, hostile(code)).code == "crashed"
        assert decoder.prepare(jpeg(), SPEC).rendition_size == (51, 64)


def test_a_memory_bomb_is_stopped_and_the_next_file_works(hostile: Callable[[str], bytes]) -> None:
    with Decoder(DecodeLimits(memory_bytes=600 << 20)) as decoder:
        problem = refusal(decoder, hostile("hoard = []\nwhile True: hoard.append(bytearray(50 << 20))"))
        assert problem.code == "memory"
        assert decoder.prepare(jpeg(), SPEC).rendition_size == (51, 64)


def test_processor_time_has_a_limit_of_its_own(hostile: Callable[[str], bytes]) -> None:
    """It ends a child that loops after its parent is gone; here it is lowered to see it work."""
    with Decoder() as decoder:
        code = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass"
        assert refusal(decoder, hostile(code)).code == "timeout"


@pytest.mark.parametrize(
    "code",
    [
        "os.write(os.open('/tmp/left-by-a-decoder', os.O_CREAT | os.O_WRONLY), b'x')",
        "[os.open('/dev/null', 0) for _ in range(100)]",
    ],
)
def test_the_child_writes_no_files_and_opens_few(hostile: Callable[[str], bytes], code: str) -> None:
    with Decoder() as decoder:
        code = f"try:\n {code}\nexcept OSError: data = b''\nelse: os._exit(9)\n"
        assert refusal(decoder, hostile(code + "raise MemoryError")).code == "memory"
    Path("/tmp/left-by-a-decoder").unlink(missing_ok=True)


def test_the_child_sees_nothing_of_the_environment(
    hostile: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCREENING_SECRET_KEY", "secret")
    with Decoder() as decoder:
        answer = refusal(decoder, hostile("if not os.environ.get('SCREENING_SECRET_KEY'): raise MemoryError"))
        assert answer.code == "memory"


def test_what_a_decoder_prints_does_not_get_into_the_answers(hostile: Callable[[str], bytes]) -> None:
    with Decoder() as decoder:
        assert refusal(decoder, hostile("os.write(1, b'noise'); print('noise', flush=True)")).code == "truncated"
        assert decoder.prepare(jpeg(), SPEC).rendition_size == (51, 64)


def test_an_answer_that_is_no_frame_is_a_crash(hostile: Callable[[str], bytes]) -> None:
    code = "import gc\nfor o in gc.get_objects():\n if type(o).__name__ == 'BufferedWriter': o.write(b'\\xff' * 64)"
    with Decoder() as decoder:
        assert refusal(decoder, hostile(code)).code == "crashed"
        assert decoder.prepare(jpeg(), SPEC).rendition_size == (51, 64)


def test_a_child_is_replaced_after_so_many_files() -> None:
    with Decoder(DecodeLimits(files_per_child=2)) as decoder:
        pids = []
        for _ in range(3):
            decoder.prepare(jpeg(), SPEC)
            pids.append(child_pid(decoder))
    assert pids[0] == pids[1] != pids[2]


def test_a_child_that_died_while_idle_is_replaced_without_blame() -> None:
    with Decoder() as decoder:
        decoder.prepare(jpeg(), SPEC)
        pid = child_pid(decoder)
        os.kill(pid, signal.SIGKILL)
        assert wait_until_gone(pid)
        assert decoder.prepare(jpeg(), SPEC).rendition_size == (51, 64)


def test_interrupts_of_the_whole_group_do_not_reach_the_child() -> None:
    with Decoder() as decoder:
        decoder.prepare(jpeg(), SPEC)
        pid = child_pid(decoder)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        decoder.prepare(jpeg(), SPEC)
        assert child_pid(decoder) == pid
    assert not is_running(pid)


def test_the_child_dies_with_its_parent() -> None:
    program = (
        "import sys, time; from screening.radiographs.decoder import Decoder;"
        "from screening.radiographs.rendition_spec import RenditionSpec;"
        "decoder = Decoder(); decoder.prepare(sys.stdin.buffer.read(), RenditionSpec());"
        "print(decoder._child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(jpeg())
        parent.stdin.close()
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    assert wait_until_gone(pid)


def test_a_broken_installation_blames_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "child_command", lambda task, options: [sys.executable, "-c", "raise SystemExit(7)"])
    with Decoder() as decoder, pytest.raises(ChildFailed, match="does not start"):
        decoder.prepare(jpeg(), SPEC)


def test_threads_work_side_by_side_with_a_decoder_each() -> None:
    def work(data: bytes) -> int:
        with Decoder() as decoder:
            return sum(decoder.prepare(data, SPEC).rendition_size[1] for _ in range(5))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, [jpeg(), dicom()])) == [320, 320]
