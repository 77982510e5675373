"""Input about secrets and configs. A secret's value is taken once and never given back."""

from typing import Any

from django import forms
from pydantic import ValidationError

from clusters.changes import NAME_RULE, NewObject, is_name
from clusters.forms.services import words_of
from clusters.forms.update import Pairs
from clusters.ports import Noun

_MONO = {"class": "form-control font-monospace", "spellcheck": "false", "autocomplete": "off"}
_STAYS = {"data-stays": True}  # static/js/dialog.js puts it back, since no answer does


class UnechoedTextarea(forms.Textarea):
    """What was typed stays in the person's browser: the page that answers never holds it."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class ValueForm(forms.Form):
    """A value, typed or as a file. Once valid, `content` holds its bytes."""

    value = forms.CharField(required=False, strip=False, label="Value")
    file = forms.FileField(
        required=False,
        allow_empty_file=True,
        label="Or a file",
        widget=forms.FileInput(attrs={"class": "form-control", **_STAYS}),
    )
    keep = forms.BooleanField(
        required=False,
        label="Keep it so that it can be put back",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )
    content: bytes

    def __init__(self, noun: Noun, data: Any = None, files: Any = None, **options: Any) -> None:
        self.noun = noun
        super().__init__(data, files, **options)
        if noun == "secret":
            self.fields["value"].widget = UnechoedTextarea(attrs={**_MONO, **_STAYS, "rows": 4})
        else:
            self.fields["value"].widget = forms.Textarea(attrs={**_MONO, "rows": 14})
        limit = "500 KB" if noun == "secret" else "1,000 KB"
        self.fields[
            "value"
        ].help_text = f"At most {limit}. Lines end as on Linux; a file is taken byte for byte."
        if noun == "config":
            self.fields["value"].label = "Content"
            del self.fields["keep"]

    @property
    def _thing(self) -> str:
        return "a value" if self.noun == "secret" else "the content"

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        typed, file = found.pop("value", "") or "", found.pop("file", None)
        typed = typed.replace("\r\n", "\n")  # browsers send every line's end as two characters
        if typed and file and typed != self.initial.get("value"):
            self.add_error("value", f"Give {self._thing} or a file, not both.")
        elif file:
            self.content = file.read()
        elif typed:
            self.content = typed.encode()
        elif not self.errors.keys() & {"value", "file"}:
            self.add_error("value", f"Give {self._thing}, or a file.")
        return found


class CreateForm(ValueForm):
    """Once valid, `asked` is the NewObject, and `content` its value."""

    name = forms.CharField(max_length=64, help_text=NAME_RULE, widget=forms.TextInput(attrs=_MONO))
    stack = forms.CharField(
        required=False,
        max_length=64,
        help_text="The stack that it belongs to. Leave it empty for none.",
        widget=forms.TextInput(attrs=_MONO),
    )
    field_order = ("name", "value", "file", "stack", "keep")
    asked: NewObject

    def __init__(self, noun: Noun, data: Any = None, files: Any = None, *, stack: str = "") -> None:
        super().__init__(noun, data, files, initial={"stack": stack})
        self.labels = Pairs(data, prefix="labels")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not is_name(name):
            raise forms.ValidationError(NAME_RULE)
        return name

    def clean(self) -> dict[str, Any]:
        found = super().clean()
        if not self.labels.is_valid():
            self.add_error(None, "Correct the labels below.")
        elif "name" in found and "stack" in found:
            self._ask(found)
        return found

    def _ask(self, found: dict[str, Any]) -> None:
        labels = {name: value or "" for name, value in self.labels.asked().items()}
        try:
            self.asked = NewObject(name=found["name"], stack=found["stack"], labels=labels)
        except ValidationError as failure:
            for where, message in words_of(failure):
                self.add_error(where[0] if where[0] in self.fields else None, message)


class RotateForm(ValueForm):
    """The new value."""
