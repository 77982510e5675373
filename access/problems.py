"""What can be wrong with a request, in words that the person who asked can act on."""


class Problem(Exception):
    """The base of all of them; `str()` is a sentence for the person."""


class NotFound(Problem):
    """The object is not there, or the one who asks may not know of it."""


class Invalid(Problem):
    """The request makes no sense for this object; nothing was done. `field` may name it."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field
