"""Input about who may do what: to whom, which role, where, until when, and why."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.utils import timezone

from access.models import User
from access.places import scopes as all_scopes
from access.policy import Action, Role, Scope
from access.words import ACTIONS, said

TEXT = {"class": "form-control", "autocomplete": "off", "spellcheck": "false"}
SELECT = {"class": "form-select"}
Choices = list[tuple[str, Any]]


# --- A scope as one choice -----------------------------------------------------------------------


def place_of(scope: Scope) -> str:
    """A scope as the value of a choice: cluster names have no "/"."""
    return f"{scope.cluster}/{scope.stack}"


def scope_of(place: str) -> Scope:
    cluster, _, stack = place.partition("/")
    return Scope(cluster, stack)


def place_choices(scopes: Iterable[Scope]) -> Choices:
    """Every place inside these scopes, by cluster."""
    held = list(scopes)
    inside = [s for s in all_scopes() if any(scope.holds(s) for scope in held)]
    inside += [s for s in held if s not in inside]  # a cluster that is not registered any more
    chosen: Choices = [("/", "Everywhere")] if Scope() in inside else []
    for cluster in sorted({scope.cluster for scope in inside if scope.cluster}):
        here = sorted((s for s in inside if s.cluster == cluster), key=lambda scope: scope.stack)
        chosen.append((cluster, [(place_of(s), _said_of(s)) for s in here]))
    return chosen


def _said_of(scope: Scope) -> str:
    return f"{scope.cluster}, stack {scope.stack}" if scope.stack else f"{scope.cluster}, whole"


class PlaceField(forms.ChoiceField):
    """Once valid, a Scope."""

    def __init__(
        self, scopes: Iterable[Scope], *, everywhere: bool = True, choose: bool = True
    ) -> None:
        choices = [c for c in place_choices(scopes) if everywhere or c[0] != "/"]
        if choose:  # nothing reaches far only because nobody looked at the field
            choices = [("", "Choose where"), *choices]
        super().__init__(label="Where", choices=choices, widget=forms.Select(attrs=SELECT))

    def clean(self, value: Any) -> Scope:
        return scope_of(super().clean(value))


# --- People and groups ---------------------------------------------------------------------------


class PersonForm(forms.Form):
    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(attrs={**TEXT, "autocapitalize": "none"}),
        help_text="Letters, digits, and @ . + - _ alone. It cannot be changed later.",
    )


class SureForm(forms.Form):
    """A page that says what will be, and a button."""


class DisableForm(forms.Form):
    """Whoever disables themselves says so twice."""

    sure = forms.BooleanField(
        label="Yes, disable my own account",
        error_messages={"required": "Tick this as well: you would be signed out at once."},
    )


class GroupForm(forms.Form):
    name = forms.CharField(
        label="Name", max_length=150, widget=forms.TextInput(attrs=TEXT), help_text="No “/”."
    )


class MemberForm(forms.Form):
    user = forms.ModelChoiceField(
        label="Person",
        queryset=User.objects.none(),
        to_field_name="username",
        empty_label="Choose a person",
        widget=forms.Select(attrs=SELECT),
    )

    def __init__(self, group: Group, data: Any = None) -> None:
        super().__init__(data)
        others = User.objects.filter(is_active=True).exclude(groups=group).order_by("username")
        self.fields["user"].queryset = others  # type: ignore[attr-defined]


# --- Grants --------------------------------------------------------------------------------------


class GrantForm(forms.Form):
    """Once valid, `holder` is the person or group."""

    holder_name = forms.ChoiceField(label="To whom", widget=forms.Select(attrs=SELECT))
    role = forms.ChoiceField(
        label="Role",
        choices=[("", "Choose a role"), *((role.value, role.value) for role in Role)],
        widget=forms.Select(attrs=SELECT),
    )
    expires_at = forms.DateTimeField(
        label="Until",
        required=False,
        widget=forms.DateTimeInput(
            attrs={"class": "form-control", "type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
    )
    most_replicas = forms.IntegerField(
        label="Scales up to",
        required=False,
        min_value=1,
        max_value=10_000,
        widget=forms.NumberInput(attrs={**TEXT, "inputmode": "numeric", "placeholder": "10"}),
        help_text="For on-call alone: replicas of one service. 10 if left empty.",
    )
    field_order = ("holder_name", "role", "place", "expires_at", "most_replicas")

    def __init__(self, scopes: list[Scope], groups: Iterable[Group], data: Any = None) -> None:
        super().__init__(data)
        self.fields["place"] = PlaceField(scopes)
        self.order_fields(self.field_order)
        zone = timezone.get_current_timezone_name()
        self.fields["expires_at"].help_text = f"Left empty, it has no end. Time zone: {zone}."
        names = User.objects.filter(is_active=True).order_by("username")
        people = [(f"user:{name}", name) for name in names.values_list("username", flat=True)]
        teams = [(f"group:{group.name}", group.name) for group in groups]
        chosen: Choices = [("", "Choose a person or a group"), ("People", people)]
        holder = self.fields["holder_name"]
        holder.choices = [*chosen, ("Groups", teams)] if teams else chosen  # type: ignore[attr-defined]

    def clean_most_replicas(self) -> int | None:
        """Without on-call's role it says nothing; nothing is refused for it."""
        bound: int | None = self.cleaned_data["most_replicas"]
        return bound if self.cleaned_data.get("role") == Role.ON_CALL else None

    @property
    def holder(self) -> tuple[str, str]:
        """Kind and name: ("user", "kim")."""
        kind, _, name = self.cleaned_data["holder_name"].partition(":")
        return kind, name

    @property
    def until(self) -> datetime | None:
        found: datetime | None = self.cleaned_data["expires_at"]
        return found


class WhoForm(forms.Form):
    """Which action, and where."""

    action = forms.ChoiceField(
        label="May do what",
        choices=[(action.value, f"{said(action)} ({action.value})") for action in ACTIONS],
        widget=forms.Select(attrs=SELECT),
        initial=Action.SERVICE_UPDATE.value,
    )

    def __init__(self, scopes: list[Scope], data: Any = None) -> None:
        super().__init__(data)
        self.fields["place"] = PlaceField(scopes, choose=False)


# --- Tokens, protections, emergencies ------------------------------------------------------------


class TokenForm(forms.Form):
    name = forms.CharField(
        label="What it is for", max_length=100, widget=forms.TextInput(attrs=TEXT)
    )
    role = forms.ChoiceField(
        label="Role",
        required=False,
        choices=[("", "whatever I may"), *((role.value, role.value) for role in Role)],
        widget=forms.Select(attrs=SELECT),
        help_text="It can never do more than you, nor what asks for a proof of who you are.",
    )
    days = forms.IntegerField(
        label="Works for days",
        min_value=1,
        max_value=366,
        initial=90,
        widget=forms.NumberInput(attrs={**TEXT, "inputmode": "numeric"}),
    )
    field_order = ("name", "role", "place", "days")

    def __init__(self, scopes: list[Scope], data: Any = None) -> None:
        super().__init__(data)
        self.fields["place"] = PlaceField({Scope(), *scopes}, choose=False)
        self.order_fields(self.field_order)


class PlaceForm(forms.Form):
    """A cluster, or a stack of one."""

    def __init__(self, scopes: list[Scope], data: Any = None) -> None:
        super().__init__(data)
        self.fields["place"] = PlaceField(scopes, everywhere=False)


class EmergencyForm(forms.Form):
    reason = forms.CharField(
        label="Why",
        max_length=2000,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 3}),
        help_text="At least 15 characters. Everybody whom it concerns reads it now, and whoever"
        " reviews it afterwards.",
    )
    field_order = ("place", "reason")

    def __init__(self, scopes: list[Scope], data: Any = None) -> None:
        super().__init__(data)
        self.fields["place"] = PlaceField(scopes)
        self.order_fields(self.field_order)


class ReviewForm(forms.Form):
    review = forms.CharField(
        label="What you found",
        max_length=2000,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 4}),
        help_text="Whether it was needed, whether what was done fits the reason, what follows.",
    )
