"""The thumbnail: what a list shows of a scan. Needs Pillow alone, because the web process makes it from a rendition."""

from io import BytesIO

from PIL import Image

THUMBNAIL_SIDE = 144
"""Longest side in pixels: twice what lists show, for dense screens."""
_QUALITY = 80


def thumbnail_jpeg(rendition_png: bytes) -> bytes:
    """A stored rendition as a small JPEG, a twentieth of its bytes or less. Raises ValueError where it is damaged."""
    try:
        with Image.open(BytesIO(rendition_png), formats=["PNG"]) as picture:
            picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.HAMMING)
            out = BytesIO()
            picture.save(out, "JPEG", quality=_QUALITY)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"a stored rendition is damaged ({error}); make it again from the original") from error
    return out.getvalue()
