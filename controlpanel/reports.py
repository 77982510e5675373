"""What Django writes down of an unforeseen exception: its page for developers, its mails."""

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class ValuesHidden(SafeExceptionReporterFilter):
    """Hides what is marked as sensitive from developers as well: Django itself shows it to them."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True
