"""docs/settings.md names every setting with the default that it has, and no other."""

import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from screening.settings import Settings, environment_name
from tests.conftest import ROOT

_ROW = re.compile(r"^\| `(?P<variable>SCREENING_\w+)` \| (?P<default>[^|]+) \| (?P<meaning>[^|]+) \|$", re.MULTILINE)


def as_documented(default: Any) -> str:
    """A default as the tables show it."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default == "":
        return "none"
    if isinstance(default, bool):
        default = str(default).lower()
    if isinstance(default, Path) and default.is_absolute():
        default = default.relative_to(ROOT)
    return f"`{default}`"


def test_every_setting_is_documented_with_its_default() -> None:
    rows = [match.groupdict() for match in _ROW.finditer((ROOT / "docs" / "settings.md").read_text())]
    documented = [(row["variable"], row["default"].strip()) for row in rows]
    there = [(environment_name(name), as_documented(field.default)) for name, field in Settings.model_fields.items()]
    assert sorted(documented) == sorted(there)
