"""Which object lies under which key; two levels of folders keep any one of them small."""


def original_key(sha256: str) -> str:
    return f"originals/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def set_aside_key(key: str) -> str:
    """Where a damaged object goes, out of the way of the right bytes."""
    return f"damaged/{key}"


def rendition_key(scan_id: str, spec: str) -> str:
    return f"renditions/{spec}/{scan_id[:2]}/{scan_id}.png"


def display_key(scan_id: str) -> str:
    return f"displays/{scan_id[:2]}/{scan_id}.jpg"


def container_key(sha256: str) -> str:
    return f"containers/{sha256[:2]}/{sha256}"


def checkpoint_key(checkpoint_id: str, file_name: str) -> str:
    return f"checkpoints/{checkpoint_id}/{file_name}"
