"""A comparison in sentences, the same on the page, in the API and on a terminal."""

from screening.comparison.summary import RightOrWrong, Summary

KIND_WORDS = {
    "newly_flagged": "Newly flagged",
    "no_longer_flagged": "No longer flagged",
    "band_changed": "Likely or possible, changed",
    "moved": "Moved",
    "unchanged": "Unchanged",
}
NOT_REVIEWED = "None of these scans has been reviewed, so this does not say which of the two is right."


def sentences(summary: Summary) -> list[str]:
    """What changes, how far both agree, and what is left out; without scans only the last."""
    said = []
    if summary.scans:
        said += [_changes(summary), _agreement(summary)]
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
    said = [f"{_scans(summary.reviewed)} reviewed."]
    if summary.sensitivity.scans:
        said.append(_rates("with a fracture", "flagged", summary.sensitivity))
    if summary.specificity.scans:
        said.append(_rates("without a fracture", "not flagged", summary.specificity))
    return said


def _rates(truth: str, right: str, group: RightOrWrong) -> str:
    shares = []
    for rate, word in ((group.before, "before"), (group.after, "after")):
        low, high = rate.interval_95
        shares.append(f"{_percent(rate.share or 0)} {word} (95% interval {_percent(low)} to {_percent(high)})")
    return (
        f"Of {group.scans:,} {truth}, {right} are {' and '.join(shares)}; a difference like this or larger comes by "
        f"chance with probability {_p_value(group.p_value)} (McNemar's exact test)."
    )


def _p_value(value: float) -> str:
    return "under 0.001" if value < 0.001 else f"{value:.3f}"


def _scans(number: int) -> str:
    return "1 scan was" if number == 1 else f"{number:,} scans were"


def _percent(share: float) -> str:
    return f"{share * 100:.1f}%"
