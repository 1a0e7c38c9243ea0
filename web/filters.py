"""The worklist's filters as an address gives them, for pages and the API alike."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from screening.worklist.filters import Filters, body_parts, read_filters, refuse_unknown_body_part
from web import current


def filters_of(given: Mapping[str, Any]) -> Filters:
    """Seen by whoever asks. Raises Refused with a sentence for what is not understood."""
    return read_filters(given, current.identity().name, current.system().settings.review_sample_rate)


def checked_body_parts(session: Session, filters: Filters) -> list[str]:
    """The body parts to choose from. Raises Refused where the chosen one is none of them."""
    known = body_parts(session)
    refuse_unknown_body_part(filters, known)
    return known
