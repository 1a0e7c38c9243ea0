"""The random sample of scans that are not flagged and are read all the same: without it nobody sees what is missed."""

from collections.abc import Iterable

_DIGITS = 8


def sample_bound(rate: float) -> str:
    """Scans whose id sorts before this text are in the sample.

    An id is the beginning of a SHA-256, so the ids of any collection are spread evenly: the share `rate` (0 to 1) of
    scans lies below the bound, whatever they show. The same scans are chosen at every look, in SQL by one comparison,
    and a larger rate only adds to them.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"a share lies between 0 and 1, not {rate}")
    steps = round(rate * 16**_DIGITS)
    # "g" sorts behind every hexadecimal digit: everything is in the sample.
    return f"{steps:0{_DIGITS}x}" if steps < 16**_DIGITS else "g"


def in_sample(scan_id: str, rate: float) -> bool:
    return scan_id < sample_bound(rate)


def assumed_rate(known: Iterable[float], today: float) -> float:
    """The rate that is taken for reviews which did not keep theirs: the smallest that is known, today's among them, so
    that what was missed is not made too little of. 0 where none is known."""
    return min((rate for rate in (*known, today) if rate > 0), default=0.0)
