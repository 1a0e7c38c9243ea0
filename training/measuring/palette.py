"""The portal's colours (`web/static/portal.css`), for drawings that stand beside it: each name in light and in dark."""

PALETTE = {
    "page": ("#fbfbfa", "#0e1113"),
    "surface": ("#ffffff", "#161a1d"),
    "line": ("#dfe3e6", "#2a3036"),
    "edge": ("#7b868f", "#6b7680"),
    "text": ("#1a1f23", "#e6e9ec"),
    "muted": ("#5b6670", "#9aa4ad"),
    "accent": ("#0b7468", "#4fc3b5"),
    "likely": ("#b3261e", "#ff7b72"),
    "possible": ("#a84f00", "#ff9f4a"),
}
LIGHT = {name: light for name, (light, _) in PALETTE.items()}


def style_variables(theme: int) -> str:
    """CSS custom properties of one theme: 0 light, 1 dark."""
    return " ".join(f"--{name}: {colours[theme]};" for name, colours in PALETTE.items())
