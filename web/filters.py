"""The worklist's filters as an address gives them, for pages and the API alike."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from screening.reviews.decisions import DECISIONS
from screening.worklist.filters import Filters, body_parts, read_filters, refuse_unknown_body_part
from web import current


def filters_of(given: Mapping[str, Any]) -> Filters:
    """Seen by whoever asks. Raises Refused with a sentence for what is not understood.

    A list by what readers decided tells what others decided. An administrator who asks for one is told it of every
    scan, as by an export; everybody else only of scans that they have reviewed themselves.
    """
    who = current.identity()
    filters = read_filters(given, who.name, current.system().settings.review_sample_rate)
    return replace(filters, all_reviews=who.is_told_every_review and filters.reviewed in DECISIONS)


def checked_body_parts(session: Session, filters: Filters) -> list[str]:
    """The body parts to choose from. Raises Refused where the chosen one is none of them."""
    known = body_parts(session)
    refuse_unknown_body_part(filters, known)
    return known
