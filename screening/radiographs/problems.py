"""Why a file cannot be screened: a stable code for programs and a sentence for people. Standard library only."""

from typing import Literal

Code = Literal[
    "empty",  # no bytes at all
    "not_an_image",  # bytes that are no picture and no archive
    "truncated",  # a picture or archive that ends early
    "damaged",  # the right kind of file, with contents that cannot be read
    "unsupported",  # a picture in a form that no decoder here reads
    "wrong_modality",  # DICOM, but not a radiograph
    "no_picture",  # DICOM without pixels
    "multi_frame",  # more than one picture in the file
    "too_large",  # more bytes than allowed
    "too_many_pixels",  # more pixels than allowed
    "too_small",  # too few pixels to show anything
    "no_contrast",  # one grey all over
    "bomb",  # grows beyond all proportion when unpacked
    "encrypted",  # an archive with a password
    "nested",  # an archive inside an archive
    "unsafe_name",  # a name that points outside the archive
    "not_a_file",  # a link or device inside an archive
    "unreadable",  # a file of an archive that may not be read, or went away
    "too_many_files",  # more members in an archive than allowed
    "timeout",  # the limited child ran out of time
    "memory",  # the limited child ran out of memory
    "crashed",  # the limited child died
]

MAY_PASS_LATER: frozenset[Code] = frozenset({"too_large", "too_many_pixels", "timeout", "memory", "crashed"})
"""What limits, load or a fault of this release are to blame for, and not the file alone: with other settings, on a
quieter machine or in a newer release the same bytes may be taken."""

_WORTH_A_RETRY: frozenset[Code] = frozenset({"timeout", "crashed"})


class Unscreenable(Exception):
    """A file that cannot be screened. `str()` is the sentence, which names the next step; `code` never changes."""

    def __init__(self, code: Code, sentence: str) -> None:
        super().__init__(sentence)
        self.code: Code = code
        self.sentence = sentence

    @property
    def worth_a_retry(self) -> bool:
        """True where a busy or short-of-memory machine, and not the file, may be to blame."""
        return self.code in _WORTH_A_RETRY


def cut_off(percent: int | None) -> Unscreenable:
    """The file ends early; `percent` is how much of the picture is there, None where that cannot be told."""
    where = "before its end" if percent is None else f"at {percent}%"
    return Unscreenable("truncated", f"The file is cut off {where}. Send it again.")


def too_many_pixels(columns: int, rows: int, most: int) -> Unscreenable:
    return Unscreenable(
        "too_many_pixels",
        f"The picture says it is {columns:,} x {rows:,} pixels; at most {most / 1e6:,.0f} million are taken. "
        "Export it in a smaller size.",
    )


def damaged(what: str) -> Unscreenable:
    """`what` is a noun phrase, such as "JPEG file"."""
    return Unscreenable(
        "damaged", f"The {what} is damaged and cannot be decoded. Export it again and send the new file."
    )


def too_large(size: int, most: int) -> Unscreenable:
    return Unscreenable(
        "too_large",
        f"The file has {size / 1e6:,.0f} MB; at most {most / 1e6:,.0f} MB are taken. "
        "Send a smaller export, or ask the operator to raise the limit.",
    )
