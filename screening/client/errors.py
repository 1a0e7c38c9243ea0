"""What a client cannot do, said to a person."""


class ClientError(Exception):
    """The server cannot be reached, or does not do what was asked; the message says what to do."""

    def __init__(self, message: str, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status; None where there was no answer."""
        self.code = code
        """The stable code of the server's problem, where it gave one."""
