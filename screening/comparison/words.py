"""A comparison in sentences, the same on the page, in the API and on a terminal."""

import math

from screening.comparison.reviewed import FlaggedByOne
from screening.comparison.summary import Summary

KIND_WORDS = {
    "newly_flagged": "Newly flagged",
    "no_longer_flagged": "No longer flagged",
    "band_changed": "Likely or possible, changed",
    "moved": "Moved",
    "unchanged": "Unchanged",
}
READ_MAINLY = (
    "Readers look mainly at what the checkpoint in use flags, so what it misses is seldom among them. That favours it, "
    "and therefore no sensitivity and specificity of the two are told; the scans that only one of them flags tell them "
    "apart."
)
TOLD_FROM = 10
"""Readers' figures of so many decided scans tell nobody what was decided about one of them."""
TOO_FEW = (
    "Readers have decided about {} of these scans, too few to tell what they say: it would give away single verdicts "
    "to who has still to read them."
)
NOT_REVIEWED = "None of these scans has been reviewed, so this does not say which of the two is right."


def may_be_told(summary: Summary, all_reviews: bool) -> bool:
    """Whether what readers decided about these scans may be told to somebody. all_reviews: who is told every review."""
    return all_reviews or not 0 < summary.reviewed < TOLD_FROM


def sentences(summary: Summary, all_reviews: bool = False) -> list[str]:
    """What changes, how far both agree, and what is left out; without scans only the last. See `may_be_told`."""
    said = []
    if summary.scans:
        said += [_changes(summary), _agreement(summary)]
        if not may_be_told(summary, all_reviews):
            said.append(TOO_FEW.format(f"{summary.reviewed:,}"))
        else:
            said += _reviewed(summary) if summary.reviewed else [NOT_REVIEWED]
    else:
        said.append("No scan has been screened by both, so there is nothing to compare.")
    for number, word in ((summary.only_before, "before"), (summary.only_after, "after")):
        if number:
            said.append(f"{_scans(number)} screened only by the checkpoint {word}, and left out here.")
    return said


def _changes(summary: Summary) -> str:
    counts = summary.counts
    changed = summary.scans - counts["unchanged"]
    if not changed:
        return f"{_scans(summary.scans)} screened by both, and nothing changes."
    parts = []
    if counts["newly_flagged"]:
        parts.append(f"{counts['newly_flagged']:,} newly flagged")
    if counts["no_longer_flagged"]:
        parts.append(f"{counts['no_longer_flagged']:,} no longer flagged")
    if summary.possible_to_likely:
        parts.append(f"{summary.possible_to_likely:,} likely instead of possible")
    if summary.likely_to_possible:
        parts.append(f"{summary.likely_to_possible:,} possible instead of likely")
    if counts["moved"]:
        parts.append(f"{counts['moved']:,} in the same band but moved by more than {summary.comparison.moved:g}")
    return f"{_scans(summary.scans)} screened by both; {changed:,} of them changed: {', '.join(parts)}."


def _agreement(summary: Summary) -> str:
    kappa = "" if summary.kappa is None else f" (Cohen's kappa {summary.kappa:.2f})"
    return (
        f"Both agree on whether to flag {_percent(summary.agreement or 0)} of them{kappa}; flagged are "
        f"{_percent(summary.flagged_before / summary.scans)} before and "
        f"{_percent(summary.flagged_after / summary.scans)} after."
    )


def _reviewed(summary: Summary) -> list[str]:
    readers = summary.readers
    said = [f"{_scans(readers.decided)} reviewed and decided. {READ_MAINLY}"]
    said += [_only_one("after", readers.only_after), _only_one("before", readers.only_before)]
    if readers.chosen:
        chosen = "1 scan that a reader" if readers.chosen == 1 else f"{readers.chosen:,} scans that readers"
        said.append(f"{chosen} chose outside of the queue cannot be counted there.")
    return said


def _only_one(which: str, group: FlaggedByOne) -> str:
    if not group.scans:
        return f"No scan is flagged only by the one {which}."
    flagged = f"{group.scans:,} {'scan is' if group.scans == 1 else 'scans are'} flagged only by the one {which}"
    if group.share is None:
        return f"{flagged}; readers have decided about none of them, so nobody knows how many are fractures."
    low, high = group.interval_95
    fewest, most = group.fractures_interval_95
    return (
        f"{flagged}: of {group.decided:,} that readers decided about, they called {group.fractured:,} fractured, an "
        f"estimated {_percent(group.share)} (95% interval {_percent(low)} to {_percent(high)}), which would be "
        f"{group.fractures:,.0f} fractures of {group.scans:,} ({math.floor(fewest):,} to {math.ceil(most):,})."
    )


def _scans(number: int) -> str:
    return "1 scan was" if number == 1 else f"{number:,} scans were"


def _percent(share: float) -> str:
    return f"{share * 100:.1f}%"
