"""How many cores this process may really use."""

import math
import os
from pathlib import Path


def usable_cores() -> int:
    """Cores that this process may use: its affinity, further limited by a container's CPU quota (cgroup 1 and 2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(Path("/sys/fs/cgroup"))
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _cgroup_quota(root: Path) -> float | None:
    """CPUs that a container may use, or None where there is no quota."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if quota in ("max", "-1") else int(quota) / int(period)
