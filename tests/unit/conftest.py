"""What all unit tests share."""

from hypothesis import settings

# The machine may be busy: a slow example is no failure. And a failure must repeat anywhere.
settings.register_profile("pilothouse", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("pilothouse")
