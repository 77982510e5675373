"""Input of people, validated: what is asked of a service ends up as a change of `clusters.changes`.

A form holds two hidden fields: `version`, the service as the person saw it, and `key`, by which a
form that is sent twice is known.
"""

from typing import Any

from django import forms
from pydantic import ValidationError

from clusters import specs
from clusters.changes import MOST_REPLICAS, Restart, Resume, Rollback, Scale, ServiceChange, Update
from clusters.models import Operation, Service

KINDS: dict[str, type[ServiceChange]] = {
    Operation.Kind.SCALE: Scale,
    Operation.Kind.UPDATE: Update,
    Operation.Kind.ROLLBACK: Rollback,
    Operation.Kind.RESTART: Restart,
    Operation.Kind.RESUME: Resume,
}


def change_of(kind: str, asked: dict[str, Any]) -> ServiceChange:
    """The change that an operation was asked for, from how it is kept: durations in nanoseconds."""
    asked = {name: _durations(value) for name, value in asked.items()}
    return KINDS[kind].model_validate(asked)


def _durations(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    named = {name: f"{value[name]}ns" for name in ("delay", "monitor") if value.get(name)}
    return {**value, **named} if "parallelism" in value or "order" in value or named else value


def words_of(failure: ValidationError) -> list[tuple[tuple[str, ...], str]]:
    """Where and what is wrong, in words for the person."""
    return [
        (tuple(str(part) for part in error["loc"]), error["msg"].removeprefix("Value error, "))
        for error in failure.errors()
    ]


class ServiceForm(forms.Form):
    """The base: `change` holds what is asked once the form is valid."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    key = forms.CharField(widget=forms.HiddenInput, required=False, max_length=128)
    kind: type[ServiceChange]
    change: ServiceChange

    def __init__(self, service: Service, data: Any = None, *, env: bool = False) -> None:
        self.service, self.env = service, env
        super().__init__(data, initial={"version": service.version, **self.present()})
        for bound in self.visible_fields():
            _dress(bound.field.widget)

    def present(self) -> dict[str, Any]:
        """The fields' values as the service has them now."""
        return {}

    def asked(self) -> dict[str, Any]:
        """The body of the change, in the API's words."""
        return {}

    def field_of(self, where: tuple[str, ...]) -> str | None:
        """The form's field for a place in the body."""
        return where[0] if where and where[0] in self.fields else None

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            try:
                body = {**self.asked(), "version": self.cleaned_data["version"]}
                self.change = self.kind.model_validate(body)
            except ValidationError as failure:
                for where, message in words_of(failure):
                    self.add_error(self.field_of(where), message)
        return self.cleaned_data


def _dress(widget: forms.Widget) -> None:
    """Tabler's class for the widget."""
    if isinstance(widget, forms.CheckboxInput | forms.RadioSelect):
        css = "form-check-input"
    else:
        css = "form-select" if isinstance(widget, forms.Select) else "form-control"
    widget.attrs.setdefault("class", css)


class ScaleForm(ServiceForm):
    kind = Scale
    replicas = forms.IntegerField(
        min_value=0,
        max_value=MOST_REPLICAS,
        error_messages={
            "invalid": "Write a whole number.",
            "required": "Write a whole number.",  # a browser sends none for what is no number
            "min_value": "A service cannot run fewer than 0 tasks.",
            "max_value": f"At most {MOST_REPLICAS:,} replicas can be asked for.",
        },
    )
    # The preview that told of a rollout under way sets it: whoever confirms that one, insists.
    insist = forms.BooleanField(widget=forms.HiddenInput, required=False)

    def present(self) -> dict[str, Any]:
        return {"replicas": specs.replicas_of(self.service.spec)}

    def asked(self) -> dict[str, Any]:
        insist = {"insist": True} if self.cleaned_data["insist"] else {}
        return {"replicas": self.cleaned_data["replicas"], **insist}


class RestartForm(ServiceForm):
    kind = Restart


class ResumeForm(ServiceForm):
    kind = Resume


class RollbackForm(ServiceForm):
    kind = Rollback
    revision = forms.IntegerField(error_messages={"required": "Choose a revision."})
    keep_replicas = forms.BooleanField(
        required=False,
        initial=True,
        label="Keep the present number of replicas",
        help_text="Scaling is seldom part of what went wrong.",
    )

    def asked(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("revision", "keep_replicas")}
