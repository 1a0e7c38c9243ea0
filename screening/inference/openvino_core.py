"""The one OpenVINO runtime that a process has."""

import functools

import openvino as ov


@functools.cache
def openvino_core() -> ov.Core:
    """Made once and kept until the process ends.

    A runtime that has loaded its CPU plugin gives the calling thread another stack for signal handlers, and puts the
    former one back when it goes. Of two in turn, the second may put back the stack of the first, which is gone: the
    next SIGTERM is then a segmentation fault in place of an orderly end (`SigAltStackSetup` in OpenVINO's CPU plugin,
    seen with 2026.4).
    """
    return ov.Core()
