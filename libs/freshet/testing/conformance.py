"""How a check says what is wrong."""


class ConformanceError(AssertionError):
    """A part breaks a promise of its kind. The text says which one, and with what input."""


def require(holds: object, what: str) -> None:
    """Raise ConformanceError with this sentence unless it holds."""
    if not holds:
        raise ConformanceError(what)
