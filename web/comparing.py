"""The comparisons that this process remembers, for the page and the API alike."""

from flask import current_app

from screening.comparison.remembered import Remembered
from web import current

EXTENSION = "screening-comparisons"


def remembered() -> Remembered:
    extensions = current_app.extensions
    kept: Remembered = extensions.setdefault(EXTENSION, Remembered(current.system().clock))
    return kept
