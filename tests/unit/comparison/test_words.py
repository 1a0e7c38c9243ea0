"""A comparison in sentences: every number of it is said once, and nothing is said that was not counted."""

from screening.bands import Band
from screening.comparison.pairs import Comparison, Scope, Side
from screening.comparison.summary import RightOrWrong, Summary
from screening.comparison.words import NOT_REVIEWED, sentences

SIDE = Side("one", "one", "fp32", True, 0.5, 0.8)
NOBODY = RightOrWrong()


def summary(
    bands: dict[tuple[Band, Band], int],
    moved: int = 0,
    only: tuple[int, int] = (0, 0),
    reviewed: tuple[RightOrWrong, RightOrWrong] = (NOBODY, NOBODY),
) -> Summary:
    comparison = Comparison(SIDE, SIDE, Scope(), 0.2)
    counts = dict.fromkeys(("newly_flagged", "no_longer_flagged", "band_changed", "moved", "unchanged"), 0)
    for (before, after), number in bands.items():
        counts[comparison.kind_of_bands(before, after, False)] += number
    counts["moved"] += moved
    counts["unchanged"] -= moved
    return Summary(counts, bands, *only, comparison, *reviewed)  # type: ignore[arg-type]


def test_every_kind_of_change_is_named_with_its_direction() -> None:
    bands: dict[tuple[Band, Band], int] = {
        ("not_flagged", "likely"): 3,
        ("possible", "not_flagged"): 1,
        ("possible", "likely"): 5,
        ("likely", "possible"): 4,
        ("not_flagged", "not_flagged"): 1987,
    }
    assert sentences(summary(bands, moved=7, only=(1, 1200))) == [
        "2,000 scans were screened by both; 20 of them changed: 3 newly flagged, 1 no longer flagged, 5 likely instead "
        "of possible, 4 possible instead of likely, 7 in the same band but moved by more than 0.2.",
        "Both agree on whether to flag 99.8% of them (Cohen's kappa 0.82); flagged are 0.5% before and 0.6% after.",
        NOT_REVIEWED,
        "1 scan was screened only by the checkpoint before, and left out here.",
        "1,200 scans were screened only by the checkpoint after, and left out here.",
    ]


def test_without_a_change_and_without_scans() -> None:
    assert sentences(summary({("likely", "likely"): 1}))[0] == "1 scan was screened by both, and nothing changes."
    assert sentences(summary({})) == ["No scan has been screened by both, so there is nothing to compare."]


def test_reviewed_scans_of_one_truth_say_nothing_of_the_other() -> None:
    group = RightOrWrong(both=80, only_before=1, only_after=9, neither=10)
    said = sentences(summary({("likely", "likely"): 100}, reviewed=(group, NOBODY)))
    assert said[2:] == [
        "100 scans were reviewed.",
        "Of 100 with a fracture, flagged are 81.0% before (95% interval 72.2% to 87.5%) and 89.0% after (95% interval "
        "81.4% to 93.7%); a difference like this or larger comes by chance with probability 0.021 (McNemar's exact "
        "test).",
    ]
