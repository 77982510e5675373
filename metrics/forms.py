"""Input about sources and panels, for the page: validated by the same rules as the API's."""

from collections.abc import Iterable
from typing import Any, TypeVar

from django import forms
from pydantic import BaseModel, ValidationError

from access.problems import Invalid
from metrics.contexts import FIELDS
from metrics.mapping import Mapping
from metrics.models import MOST_QUERY, SavedPanel, Source, Unit
from metrics.registration import Chosen, NewSource
from metrics.saved import ChangedPanel, NewPanel

_TEXT = {"class": "form-control", "autocomplete": "off"}
_MONO = {"class": "form-control font-monospace", "spellcheck": "false", "autocomplete": "off"}
_SECRET = {**_MONO, "autocomplete": "new-password"}
Model = TypeVar("Model", bound=BaseModel)
KEEP = "Leave it empty to keep the one that is there, as long as the address stays."


class _Checked(forms.Form):
    def check(self, model: type[Model], body: dict[str, Any]) -> Model | None:
        """The model, or None with its errors at their fields."""
        try:
            return model.model_validate(body)
        except ValidationError as failure:
            for error in failure.errors():
                text = str(error["msg"]).removeprefix("Value error, ")
                where, _, rest = text.partition(": ") if not error["loc"] else ("", "", "")
                field = str(error["loc"][0]) if error["loc"] else where if rest else None
                known = field if field in self.fields else None
                self.add_error(known, _sentence(rest if known == where and rest else text))
        return None


def _sentence(text: str) -> str:
    whole = f"This {text}" if text.startswith(("is ", "must ")) else text[0].upper() + text[1:]
    return f"{whole.rstrip('.')}."


class SourceForm(_Checked):
    """Once valid, `asked` is the NewSource."""

    address = forms.CharField(
        max_length=500,
        widget=forms.TextInput(attrs={**_MONO, "placeholder": "http://prometheus:9090"}),
        help_text="Of Prometheus, or of what speaks its API, as the panel's machine reaches it.",
    )
    token = forms.CharField(
        required=False,
        max_length=4000,
        widget=forms.PasswordInput(attrs=_SECRET),
        help_text="Sent as “Authorization: Bearer”. Kept sealed, and never shown again.",
    )
    username = forms.CharField(
        required=False, max_length=255, label="User name", widget=forms.TextInput(attrs=_MONO)
    )
    password = forms.CharField(
        required=False, max_length=4000, widget=forms.PasswordInput(attrs=_SECRET), help_text=KEEP
    )
    ca = forms.CharField(
        required=False,
        label="CA certificate",
        widget=forms.Textarea(attrs={**_MONO, "rows": 4}),
        help_text="PEM, for https:// addresses: of a private CA. Without it the public ones hold.",
    )
    asked: NewSource

    def __init__(self, source: Source | None, data: Any = None) -> None:
        names = ("address", "username", "ca")
        super().__init__(data, initial={n: getattr(source, n) for n in names} if source else {})

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            asked = self.check(NewSource, dict(self.cleaned_data))
            if asked:
                self.asked = asked
        return self.cleaned_data


class MappingForm(_Checked):
    """A field that is left empty is as it was detected. Once valid, `asked` is the Chosen."""

    asked: Chosen

    def __init__(self, source: Source, data: Any = None) -> None:
        super().__init__(data)
        detected = Mapping().changed(source.detected)
        for name, label, help_text in FIELDS:
            found = getattr(detected, name)
            self.fields[name] = forms.CharField(
                required=False,
                max_length=1000,
                label=label,
                initial=source.chosen.get(name, ""),
                help_text=help_text,
                widget=forms.TextInput(attrs={**_MONO, "placeholder": found or "nothing found"}),
            )
        for kind in ("container", "service"):
            self.fields[f"{kind}_with_stack"] = _with_stack(
                getattr(detected, f"{kind}_with_stack"), source.chosen.get(f"{kind}_with_stack")
            )

    def clean(self) -> dict[str, Any]:
        given = {k: v.strip() for k, v in self.cleaned_data.items() if v.strip()}
        for name in ("container_with_stack", "service_with_stack"):
            if name in given:
                given[name] = given[name] == "yes"
        if not self.errors:
            asked = self.check(Chosen, given)
            if asked:
                self.asked = asked
        return self.cleaned_data


def _with_stack(detected: bool, chosen: bool | None) -> forms.ChoiceField:
    found = "stack_name" if detected else "name"
    choices = [("", f"as found: {found}"), ("yes", "stack_name"), ("no", "name alone")]
    return forms.ChoiceField(
        required=False,
        choices=choices,
        label="Its value",
        initial="" if chosen is None else "yes" if chosen else "no",
        widget=forms.Select(attrs={"class": "form-select"}),
    )


class PanelForm(_Checked):
    """A new panel's, with the stacks that there are, or a saved one's."""

    stack = forms.ChoiceField(
        required=False,
        label="Shown on",
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text="Whoever sees it there sees its figures.",
    )
    title = forms.CharField(max_length=120, widget=forms.TextInput(attrs=_TEXT))
    query = forms.CharField(
        max_length=MOST_QUERY, strip=True, widget=forms.Textarea(attrs={**_MONO, "rows": 3})
    )
    unit = forms.ChoiceField(
        choices=Unit.choices, widget=forms.Select(attrs={"class": "form-select"})
    )
    warning = forms.FloatField(
        required=False,
        widget=forms.NumberInput(attrs={"class": "form-control", "step": "any"}),
        help_text="A line to compare with, in the unit.",
    )
    critical = forms.FloatField(
        required=False, widget=forms.NumberInput(attrs={"class": "form-control", "step": "any"})
    )

    def __init__(
        self,
        data: Any = None,
        *,
        stacks: Iterable[str] = (),
        panel: SavedPanel | None = None,
        initial: dict[str, str] | None = None,
    ) -> None:
        names = ("title", "query", "unit", "warning", "critical")
        known = {n: getattr(panel, n) for n in names} if panel else dict(initial or {})
        super().__init__(data, initial=known)
        self.panel = panel
        if panel:
            del self.fields["stack"]
        else:
            choices = [("", "the cluster"), *((stack, f"stack {stack}") for stack in stacks)]
            self.fields["stack"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            self.check(NewPanel, dict(self.cleaned_data))
        return self.cleaned_data

    def new(self) -> NewPanel:
        return NewPanel(**self.cleaned_data)

    def changed(self) -> ChangedPanel:
        return ChangedPanel(**self.cleaned_data)

    def refuse(self, failure: Invalid) -> None:
        """Show it at its field."""
        self.add_error(failure.field if failure.field in self.fields else None, str(failure))
