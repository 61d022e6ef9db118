"""What may stop the embedded database, told to the operator."""


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot do what was asked; the message is one line for the operator."""


class InUse(EmbeddedError):
    """Another living process owns the data directory."""

    def __init__(self, message: str, *, sockets: str | None) -> None:
        super().__init__(message)
        self.sockets = sockets  # Where its PostgreSQL listens; None while it is still starting.
