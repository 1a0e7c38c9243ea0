"""Pictures that end the workers of tests.chaos.poisoned_app, and no others."""

import io

from PIL import Image, PngImagePlugin

ORIGINAL_MARK = b"this original ends its worker"
WHITE = 250
SIDE = 96


def white_png() -> bytes:
    """Its rendition ends the screen worker."""
    out = io.BytesIO()
    Image.new("L", (SIDE, SIDE), 255).save(out, "PNG")
    return out.getvalue()


def marked_png() -> bytes:
    """The file itself ends the prepare worker."""
    out, remark = io.BytesIO(), PngImagePlugin.PngInfo()
    remark.add_text("remark", ORIGINAL_MARK.decode())
    Image.new("L", (SIDE, SIDE), 90).save(out, "PNG", pnginfo=remark)
    return out.getvalue()
