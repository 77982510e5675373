"""What one looks for in the trail, validated: the page's form, the API and the commands use it."""

from typing import Any

from django import forms

from access.models import AuditEntry
from access.trail.reading import FILTERS, Filters


class FilterForm(forms.Form):
    """Once valid, `filters` are what is asked for."""

    actor = forms.CharField(required=False, max_length=150)
    action = forms.CharField(required=False, max_length=32)
    cluster = forms.CharField(required=False, max_length=64)
    stack = forms.CharField(required=False, max_length=64)
    target = forms.CharField(required=False, max_length=255)
    phase = forms.ChoiceField(required=False, choices=[("", ""), *AuditEntry.Phase.choices])
    outcome = forms.CharField(required=False, max_length=16)
    operation = forms.UUIDField(
        required=False,
        error_messages={"invalid": "This is no id of an operation."},
    )
    since = forms.DateTimeField(
        required=False, error_messages={"invalid": "Write a time as 2026-01-31 14:00."}
    )
    until = forms.DateTimeField(
        required=False, error_messages={"invalid": "Write a time as 2026-01-31 14:00."}
    )

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cleaned_data
        since, until = found.get("since"), found.get("until")
        if since and until and until < since:
            self.add_error("until", "“To” lies before “From”: nothing is in between.")
        return found

    @property
    def filters(self) -> Filters:
        found: dict[str, Any] = self.cleaned_data
        return Filters(**{name: found[name] for name in FILTERS if found.get(name)})
