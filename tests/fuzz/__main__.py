"""The long form: `python -m tests.fuzz --count 10000 [--seed 7]`."""

import argparse
import secrets
import sys
import time
from random import Random

from tests.fuzz.files import damaged, seeds
from tests.fuzz.judging import Judge


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1000), help="repeats a run")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    judge, rng, good, began = Judge(), Random(chosen.seed), seeds(), time.monotonic()
    for number in range(1, chosen.count + 1):
        judge.judge(damaged(good, rng))
        if number % 500 == 0:
            judge.still_works()
            print(f"{number} files, {time.monotonic() - began:.0f} s, {len(judge.wrong)} wrong", flush=True)
    judge.close()
    print(f"Of {len(good)} good files, {chosen.count} damaged ones; the longest took {judge.longest_s:.1f} s.")
    for answer, times in judge.answers.most_common():
        print(f"  {answer}: {times}")
    print("\n".join(judge.wrong) or "Every file was answered within its limits.")
    return 1 if judge.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
