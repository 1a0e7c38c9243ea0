"""Files for their owner alone: what a process writes holds pictures, names and secrets."""

import os

OTHERS_NOTHING = 0o077
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def keep_private() -> None:
    """From here on, nothing that this process or its children make can be read by other users of the machine."""
    os.umask(OTHERS_NOTHING)
