"""The long form: `python -m tests.chaos --minutes 30 [--seed 7]` hurts both kinds of installation and reports."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path
from random import Random

from tests.bundles import make_random_bundle
from tests.chaos.report import REPORT, write_report
from tests.chaos.stand import STORAGE_MB, standing
from tests.chaos.trial import Outcome, planned, try_out

SHARES = {True: 2 / 3, False: 1 / 3}
"""How much of the time goes to PostgreSQL, and how much to SQLite."""
MB_PER_MINUTE = 60
"""What the pictures of a minute take on two fast processors, with room to spare: nothing is cleaned up meanwhile."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long faults are injected, in all")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1000), help="repeats a run's choices")
    parser.add_argument("--backlog", type=int, default=300, help="scans that are kept in flight")
    parser.add_argument("--calm", type=float, default=5, help="seconds without a fault between two faults")
    parser.add_argument("--report", type=Path, default=REPORT, help="the page whose table is written")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}: repeat this run with SEED={chosen.seed}", flush=True)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        bundle = make_random_bundle(Path(folder) / "checkpoints" / "random", side=64)
        for postgres, share in SHARES.items():
            minutes = chosen.minutes * share
            with standing(bundle, postgres, STORAGE_MB + int(minutes * MB_PER_MINUTE)) as stand:
                faults = planned(stand, Random(chosen.seed), minutes * 60)
                outcomes.append(try_out(stand, chosen.seed, faults, chosen.backlog, chosen.calm))
            write_report(chosen.report, outcomes)
    wrong = [sentence for outcome in outcomes for sentence in outcome.wrong]
    print("\n".join(wrong) or "Every check holds.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
