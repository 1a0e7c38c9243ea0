"""Devices: what training on a processor asks of the C library."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from training.learning.devices import choose_device

def fill():
    torch.ones(1 << 24)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

choose_device("cpu")
for _ in range(20):
    fill()
before = faults()
for _ in range(10):
    fill()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to keep memory")
def test_large_tensors_reuse_memory_that_was_cleared_before() -> None:
    """Ten tensors of 64 MiB are 160,000 pages, each of which would be cleared by the kernel anew."""
    done = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 2_000
