"""What is left to read of a file that was erased."""

ERASED_NAME = "(erased)"
ERASED_CODE = "erased"
ERASED_REASON = "This file was erased by order of an administrator, and is not taken again."
