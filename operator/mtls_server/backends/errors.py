"""What keeps a backend from starting."""


class BackendError(Exception):
    """The backend cannot be set up; the message says why and what to do."""
