"""Text that can be kept: a NUL character fits no text of PostgreSQL, and half of a surrogate pair no text in UTF-8.

What stands in an address or a form is looked at here, at the door; fields of JSON by `KEPT` in their schemas. Names of
files are made to fit instead (`uploads.clean_name`), because a file is not refused for its name.
"""

import re
from typing import Any

from flask import Flask, request
from marshmallow import ValidationError, validate

from screening.errors import Refused
from web.problems import is_program

_KEPT = r"^[^\x00\ud800-\udfff]*$"
_SENTENCE = "Leave out characters that no text can hold: U+0000, and halves of surrogate pairs."

KEPT = validate.Regexp(_KEPT, error=_SENTENCE)


def kept_inside(values: dict[str, Any]) -> None:
    """Validates a field of several values, of which some are texts."""
    if not all(re.match(_KEPT, value) for value in values.values() if isinstance(value, str)):
        raise ValidationError(_SENTENCE)


def register_plain_text(app: Flask) -> None:
    @app.before_request
    def look() -> None:
        """Bytes of addresses and forms that are no UTF-8 were replaced when they were read, so NUL alone is left."""
        texts = [request.path, *(value for _, value in request.args.items(multi=True))]
        # The body of a program is JSON, or files, which are read as they stream in.
        if not is_program():
            texts += [value for _, value in request.form.items(multi=True)]
        if any("\x00" in text for text in texts):
            raise Refused(
                "nul_character", "A NUL character (U+0000) stands in this request, and no text holds one. Leave it out."
            )
