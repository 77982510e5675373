"""What can go wrong while the panel comes up, in words for the person at the terminal."""


class CannotStart(Exception):
    """The panel cannot start. The message says what happened, to what, and what to do."""
