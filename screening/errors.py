"""Errors that are meant for people: a sentence that says what is wrong and what to do."""


class Refused(Exception):
    """A request that cannot be done as asked. `code` is stable for programs, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFound(Refused):
    """What was asked for does not exist."""


class Later(Refused):
    """What was asked for cannot be done now; it may be asked again after `again_s` seconds."""

    def __init__(self, code: str, message: str, again_s: int) -> None:
        super().__init__(code, message)
        self.again_s = again_s


class Busy(Later):
    """Too much is waiting already."""


class Full(Later):
    """There is no room to keep more."""


class Conflict(Refused):
    """What was asked for does not fit the present state."""
