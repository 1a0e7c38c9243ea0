"""One self-contained HTML file of everything that was measured, with its curves beside it as SVG and PNG."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from training.measuring import wording
from training.measuring.drawing import CAPTIONS, draw
from training.measuring.palette import style_variables
from training.measuring.points import bands, promised_sensitivity
from training.measuring.vector import inline_svg, write_drawings

TEMPLATE = "report.html"


def write_report(
    folder: Path,
    title: str,
    facts: dict[str, str],
    figures: dict[str, Any],
    thumbnails: dict[str, list[dict[str, Any]]] | None = None,
) -> Path:
    """Write `report.html` and the drawings into the folder, and return the page's path.

    title: what was measured; facts: words of its header, name -> text; figures: of `measure_ranking`; thumbnails: of
    `error_thumbnails`, pictures of the data set that belong to no place where it is not allowed to be.
    """
    drawings = draw(figures)
    write_drawings(drawings, folder)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=wording.number, interval=wording.interval, percent=wording.percent)
    told = next(row for row in figures["operating_points"] if row["name"] == figures["told_at"])
    page = environment.get_template(TEMPLATE).render(
        title=title,
        facts=facts,
        figures=figures,
        told=told,
        promise=wording.promise(promised_sensitivity(told)),
        bands=bands(figures),
        measures=wording.MEASURE_NAMES,
        localization=wording.LOCALIZATION_NAMES,
        # Both are markup of our own making: drawings of numbers, and colours.
        drawings={
            name: (CAPTIONS[name], Markup(inline_svg(drawing, CAPTIONS[name], name)))  # noqa: S704
            for name, drawing in drawings.items()
        },
        light=Markup(style_variables(0)),  # noqa: S704
        dark=Markup(style_variables(1)),  # noqa: S704
        thumbnails=thumbnails,
    )
    target = folder / "report.html"
    target.write_text(page, "utf-8")
    return target
