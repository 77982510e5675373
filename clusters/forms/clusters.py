"""Input about clusters: managers' addresses, TLS, and the name typed to confirm."""

from typing import Any

from django import forms
from pydantic import ValidationError

from clusters.forms.services import words_of
from clusters.registration import NewCluster, NewSwarm

RESERVED = ("new",)  # an address of the panel's own
_MONO = {"class": "form-control font-monospace", "spellcheck": "false", "autocomplete": "off"}


def _pem(label: str, help_text: str) -> forms.CharField:
    widget = forms.Textarea(attrs={**_MONO, "rows": 4})
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget)


class RegisterForm(forms.Form):
    """Once valid, `asked` is the NewCluster."""

    name = forms.SlugField(
        max_length=64,
        widget=forms.TextInput(attrs=_MONO),
        help_text="How the panel calls it: letters, digits, “-” and “_”.",
        error_messages={"invalid": "Use letters, digits, “-” and “_” alone."},
    )
    addresses = forms.CharField(
        label="Managers' addresses",
        widget=forms.Textarea(attrs={**_MONO, "rows": 3}),
        help_text="One per line. The panel uses the first that answers and moves on if it fails.",
    )
    tls_ca = _pem("CA certificate", "PEM. The engine's certificate must be signed by it.")
    tls_certificate = _pem("Client certificate", "PEM.")
    tls_key = _pem("Client key", "PEM, without a passphrase. Kept sealed, and never shown again.")
    asked: NewCluster

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in RESERVED:
            raise forms.ValidationError(f"“{name}” is a word of the panel's own: choose another.")
        return name

    def clean_addresses(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["addresses"].splitlines()]
        return list(dict.fromkeys(line for line in lines if line))

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        tls = {name: found.get(f"tls_{name}", "") for name in ("ca", "certificate", "key")}
        for name in [name for name, text in tls.items() if not text and any(tls.values())]:
            self.add_error(f"tls_{name}", "TLS needs all three: give this one too.")
        given = {name: text for name, text in tls.items() if text}
        body = {"name": found.get("name", ""), "addresses": found.get("addresses", [])}
        self._check({**body, "tls": given or None})
        return found

    def _check(self, body: dict[str, Any]) -> None:
        """What is wrong is told of every field at once; of each, what is told already is enough."""
        told = set(self.errors)
        try:
            self.asked = NewCluster.model_validate(body)
        except ValidationError as failure:
            for where, message in words_of(failure):
                if (field := _field(where)) not in told:
                    self.add_error(field, _sentence(message))


def _field(where: tuple[str, ...]) -> str | None:
    if where[:1] == ("tls",):
        return f"tls_{where[1]}" if len(where) > 1 else "tls_key"
    return where[0] if where else None


def _sentence(message: str) -> str:
    """The API names the field before its message; here the field stands above it."""
    whole = f"This {message}" if message.startswith("is ") else message[0].upper() + message[1:]
    return f"{whole.rstrip('.')}."


class RemoveForm(forms.Form):
    """The name must be typed: what is removed is gone."""

    name = forms.CharField(widget=forms.TextInput(attrs=_MONO))

    def __init__(self, expected: str, data: Any = None) -> None:
        self.expected = expected
        super().__init__(data)
        self.fields["name"].label = f"Type {expected} to confirm"

    def clean_name(self) -> str:
        if self.cleaned_data["name"] != self.expected:
            raise forms.ValidationError(f"Type {self.expected}, exactly.")
        return self.expected


class InitialiseForm(forms.Form):
    """The first manager's address."""

    advertise = forms.CharField(
        label="Advertise address",
        widget=forms.TextInput(attrs=_MONO),
        help_text="The IP address or the interface by which other nodes reach this one: "
        "192.0.2.10, 192.0.2.10:2377 or eth0.",
    )

    def clean_advertise(self) -> str:
        text: str = self.cleaned_data["advertise"].strip()
        try:
            return NewSwarm(advertise=text).advertise
        except ValidationError as error:
            message = f"“{text}” is neither an IP address nor an interface's name."
            raise forms.ValidationError(message) from error
