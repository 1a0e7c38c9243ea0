"""What keeps an installation from starting."""


class UpError(Exception):
    """`screening up` cannot start; the message says what to do."""
