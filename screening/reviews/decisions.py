"""What a worklist can be cut down to by its reviews: whether there are any, and what readers decided.

Those who decided must agree: then a scan is `fracture` or `no_fracture`. Reviewed without that, it is `undecided`.
"""

from typing import Literal

Decision = Literal["fracture", "no_fracture", "undecided"]
DECISIONS: tuple[Decision, ...] = ("fracture", "no_fracture", "undecided")

Reviewed = Literal["unreviewed", "reviewed", "by_me", "fracture", "no_fracture", "undecided"]
REVIEWED: tuple[Reviewed, ...] = ("unreviewed", "reviewed", "by_me", *DECISIONS)
