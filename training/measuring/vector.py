"""Drawings as SVG files that come out the same every time, in light, in dark, and inside an HTML page."""

import io
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from training.measuring.palette import PALETTE

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


def light_svg(drawing: Figure) -> str:
    """As drawn. Nothing depends on the day or the process, and text stays text."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "fracture-screening", "svg.fonttype": "none"}):
        drawing.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", FONTS, stream.getvalue())
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def dark_svg(drawing: Figure) -> str:
    """The same drawing in the dark theme's colours."""
    return _recoloured(light_svg(drawing), dict(PALETTE.values()))


def inline_svg(drawing: Figure, label: str, prefix: str) -> str:
    """An <svg> element whose colours are the page's custom properties. prefix: keeps ids apart within one page."""
    text = _recoloured(light_svg(drawing), {light: f"var(--{name})" for name, (light, _) in PALETTE.items()})
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    used = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{prefix}-", text)
    return re.sub(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", rf'<svg \1 role="img" aria-label="{label}">', text, count=1)


def write_drawings(drawings: dict[str, Figure], folder: Path, prefix: str = "", png: bool = True) -> None:
    """`NAME.svg` in light, `NAME-dark.svg` beside it, and `NAME.png` in light where that is wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawing in drawings.items():
        (folder / f"{prefix}{name}.svg").write_text(light_svg(drawing), "utf-8")
        (folder / f"{prefix}{name}-dark.svg").write_text(dark_svg(drawing), "utf-8")
        if png:
            drawing.savefig(folder / f"{prefix}{name}.png", dpi=160, metadata={"Software": None})


def _recoloured(text: str, colours: dict[str, str]) -> str:
    return re.sub(r"#[0-9a-f]{6}\b", lambda m: colours.get(m[0], m[0]), text)
