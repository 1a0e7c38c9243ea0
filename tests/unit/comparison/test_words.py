"""A comparison in sentences: every number of it is said once, and nothing is said that was not counted."""

from screening.bands import Band
from screening.comparison.pairs import Comparison, Scope, Side
from screening.comparison.reviewed import FlaggedByOne, Reviewed
from screening.comparison.summary import RightOrWrong, Summary
from screening.comparison.words import NOT_REVIEWED, READ_MAINLY, sentences

SIDE = Side("one", "one", "fp32", True, 0.5, 0.8)
NOBODY = RightOrWrong()
UNREAD = Reviewed(0, 0, FlaggedByOne(0), FlaggedByOne(0))


def summary(
    bands: dict[tuple[Band, Band], int],
    moved: int = 0,
    only: tuple[int, int] = (0, 0),
    readers: Reviewed = UNREAD,
) -> Summary:
    comparison = Comparison(SIDE, SIDE, Scope(), 0.2)
    counts = dict.fromkeys(("newly_flagged", "no_longer_flagged", "band_changed", "moved", "unchanged"), 0)
    for (before, after), number in bands.items():
        counts[comparison.kind_of_bands(before, after, False)] += number
    counts["moved"] += moved
    counts["unchanged"] -= moved
    return Summary(counts, bands, *only, comparison, readers, NOBODY, NOBODY)  # type: ignore[arg-type]


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


def test_of_reviewed_scans_only_those_that_one_of_the_two_flags_are_told_of() -> None:
    """By hand: of ten sampled scans that weigh alike three are fractured; Wilson's interval is 10.8% to 60.3%."""
    new = FlaggedByOne(1200, decided=10, fractured=3, weight=500, weight_fractured=150, weight_squares=25_000)
    readers = Reviewed(100, 2, FlaggedByOne(1), new)
    said = sentences(summary({("likely", "likely"): 100}, readers=readers))
    assert said[2:] == [
        f"100 scans were reviewed and decided. {READ_MAINLY}",
        "1,200 scans are flagged only by the one after: of 10 that readers decided about, they called 3 fractured, an "
        "estimated 30.0% (95% interval 10.8% to 60.3%), which would be 360 fractures of 1,200 (129 to 724).",
        "1 scan is flagged only by the one before; readers have decided about none of them, so nobody knows how many "
        "are fractures.",
        "2 scans that readers chose outside of the queue cannot be counted there.",
    ]
    none_before = summary({("likely", "likely"): 100}, readers=Reviewed(1, 0, FlaggedByOne(0), new))
    assert "No scan is flagged only by the one before." in sentences(none_before, all_reviews=True)
    assert "Readers have decided about 1 of these scans, too few" in sentences(none_before)[2]
