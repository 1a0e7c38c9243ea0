"""The worklist: what could not be screened first, then by probability. Nothing is left out, nothing is called normal.

A list is made of ordered sections, each of one or more parts that are merged by rank, and every part is cut by key and
not by offset (`parts.py`), so a page late in a long list costs what the first one costs. The plain list has two
sections: *must look* (no probability, in the order of arrival), then every screened scan by falling probability. Both
thresholds are compared when the list is read, so new ones apply at once; a band of the screened is a range of
probabilities in the same order. The reading queue (`sections.py`) mixes the random sample in among what is flagged.
"""

from screening.worklist.counts import COUNTED_UP_TO, BandCounts, band_counts
from screening.worklist.filters import Filters
from screening.worklist.items import WorklistItem
from screening.worklist.neighbours import Neighbours, neighbours
from screening.worklist.pages import LARGEST_PAGE, WorklistPage, whole_worklist, worklist_page
from screening.worklist.standing import Standing, standing

__all__ = [
    "COUNTED_UP_TO",
    "LARGEST_PAGE",
    "BandCounts",
    "Filters",
    "Neighbours",
    "Standing",
    "WorklistItem",
    "WorklistPage",
    "band_counts",
    "neighbours",
    "standing",
    "whole_worklist",
    "worklist_page",
]
