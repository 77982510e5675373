"""The update form asks only for what was changed, told from hidden copies of what was shown."""

from typing import Any, cast

from django import forms
from django.conf import settings

from clusters import specs, units
from clusters.changes import Update
from clusters.forms.services import ServiceForm
from clusters.models import Service


class PairForm(forms.Form):
    """One row of the editor of names and values: a variable or a label."""

    name = forms.CharField(required=False, max_length=512, show_hidden_initial=True)
    value = forms.CharField(
        required=False, max_length=65_536, strip=False, show_hidden_initial=True
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in (("name", "Name"), ("value", "Value")):
            css = "form-control form-control-sm font-monospace"
            attrs = {"class": css, "aria-label": label, "placeholder": label, "spellcheck": "false"}
            self.fields[name].widget.attrs.update(attrs, autocomplete="off")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        was = self.data.get(self.add_initial_prefix("name"))  # emptying that name removes its row
        if cleaned.get("value") and not (cleaned.get("name") or cleaned.get("DELETE") or was):
            self.add_error("name", "This value has no name.")
        return cleaned


class PairFormSet(forms.BaseFormSet):
    """The rows. `asked` is {name: value, or None to remove it}, the untouched ones left out."""

    def __init__(self, *args: Any, hidden: bool = False, **kwargs: Any) -> None:
        self.hidden = hidden  # the present values are not for this person's eyes
        super().__init__(*args, **kwargs)

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if self.hidden and index is not None and index < self.initial_form_count():
            form.fields["value"].widget.attrs["placeholder"] = "hidden; leave empty to keep it"

    def asked(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for form in self.forms:
            was = form.data.get(form.add_initial_prefix("name"), "")
            name, value = form.cleaned_data.get("name", ""), form.cleaned_data.get("value", "")
            gone = form.cleaned_data.get("DELETE") or not name
            if was and (gone or name != was):
                found[was] = None
            if not gone and form.has_changed():
                found[name] = value
        return found


# What one request can hold of rows with four fields each. A number in it says how many are made.
MOST_ROWS = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS // 4
Pairs = cast(
    type[PairFormSet],
    forms.formset_factory(
        PairForm,
        formset=PairFormSet,
        extra=1,
        can_delete=True,
        max_num=MOST_ROWS,
        absolute_max=MOST_ROWS,
    ),
)
AMOUNTS = {
    "limit_cpus": ("limits", "cpus"),
    "limit_memory": ("limits", "memory"),
    "limit_pids": ("limits", "pids"),
    "reserve_cpus": ("reservations", "cpus"),
    "reserve_memory": ("reservations", "memory"),
}
ROLLOUT = ("parallelism", "delay", "failure_action", "monitor", "max_failure_ratio", "order")
_ORDERS = [
    ("stop-first", "Stop the old task first"),
    ("start-first", "Start the new task first"),
]
_FAILURES = [("pause", "Pause"), ("continue", "Continue"), ("rollback", "Roll back")]


def _was_field(kind: type[forms.Field], **options: Any) -> Any:
    return kind(required=False, show_hidden_initial=True, **options)


class UpdateForm(ServiceForm):
    kind = Update
    image = _was_field(forms.CharField, max_length=512, help_text="name:tag or host/name:tag")
    constraints = _was_field(
        forms.CharField,
        widget=forms.Textarea(attrs={"rows": 3, "class": "form-control font-monospace"}),
        help_text="One per line, such as node.labels.zone == a",
    )
    limit_cpus = _was_field(forms.FloatField, label="CPU limit", min_value=0)
    limit_memory = _was_field(forms.CharField, label="Memory limit", help_text="512M, 2G")
    limit_pids = _was_field(forms.IntegerField, label="Process limit", min_value=0)
    reserve_cpus = _was_field(forms.FloatField, label="CPU reservation", min_value=0)
    reserve_memory = _was_field(forms.CharField, label="Memory reservation", help_text="512M, 2G")
    update_parallelism = _was_field(forms.IntegerField, label="Tasks at a time", min_value=0)
    update_delay = _was_field(forms.CharField, label="Delay", help_text="10s, 1m30s")
    update_failure_action = _was_field(forms.ChoiceField, label="On failure", choices=_FAILURES)
    update_monitor = _was_field(forms.CharField, label="Watch each task for", help_text="5s, 1m")
    update_max_failure_ratio = _was_field(
        forms.FloatField, label="Failures allowed", min_value=0, max_value=1, help_text="0 to 1"
    )
    update_order = _was_field(forms.ChoiceField, label="Order", choices=_ORDERS)
    rollback_parallelism = _was_field(forms.IntegerField, label="Tasks at a time", min_value=0)
    rollback_delay = _was_field(forms.CharField, label="Delay", help_text="10s, 1m30s")
    rollback_failure_action = _was_field(
        forms.ChoiceField, label="On failure", choices=_FAILURES[:2]
    )
    rollback_monitor = _was_field(forms.CharField, label="Watch each task for", help_text="5s, 1m")
    rollback_max_failure_ratio = _was_field(
        forms.FloatField, label="Failures allowed", min_value=0, max_value=1, help_text="0 to 1"
    )
    rollback_order = _was_field(forms.ChoiceField, label="Order", choices=_ORDERS)

    def __init__(self, service: Service, data: Any = None, *, env: bool = False) -> None:
        super().__init__(service, data, env=env)
        container = _container(service.spec)
        own = dict(service.spec.get("Labels") or {})
        own.pop(specs.OPERATION_LABEL, None)
        variables = dict(entry.partition("=")[::2] for entry in container.get("Env") or [])
        self.pairs = {
            "env": Pairs(data, prefix="env", initial=_rows(variables, env), hidden=not env),
            "labels": Pairs(data, prefix="labels", initial=_rows(own)),
            "container_labels": Pairs(
                data, prefix="container_labels", initial=_rows(container.get("Labels") or {})
            ),
        }

    def present(self) -> dict[str, Any]:
        spec = self.service.spec
        placement = spec.get("TaskTemplate", {}).get("Placement") or {}
        return {
            "image": specs.image_of(spec),
            "constraints": "\n".join(placement.get("Constraints") or []),
            **_amounts(spec.get("TaskTemplate", {}).get("Resources") or {}),
            **_rollout("update", spec.get("UpdateConfig") or {}),
            **_rollout("rollback", spec.get("RollbackConfig") or {}),
        }

    def section(self, *prefixes: str) -> list[forms.BoundField]:
        """The visible fields of a section of the form."""
        return [bound for bound in self.visible_fields() if bound.name.startswith(prefixes)]

    @property
    def sections(self) -> list[dict[str, Any]]:
        """The folded sections of plain fields; one that was changed or is wrong is open."""
        found = [
            ("Resources", self.section("limit_", "reserve_")),
            ("How updates roll out", self.section("update_")),
            ("How Swarm rolls back by itself", self.section("rollback_")),
        ]
        touched = {*(self.changed_data if self.is_bound else ()), *self.errors}
        return [
            {"title": title, "fields": fields, "open": any(f.name in touched for f in fields)}
            for title, fields in found
        ]

    def clean(self) -> dict[str, Any]:
        for pairs in self.pairs.values():
            if not pairs.is_valid():
                self.add_error(None, "Correct the names and values below.")
        return super().clean()

    def asked(self) -> dict[str, Any]:
        changed, cleaned = set(self.changed_data), self.cleaned_data
        body: dict[str, Any] = {
            prefix: asked for prefix, pairs in self.pairs.items() if (asked := pairs.asked())
        }
        if "image" in changed:
            body["image"] = cleaned["image"]
        if "constraints" in changed:
            lines = cleaned["constraints"].splitlines()
            body["constraints"] = [line.strip() for line in lines if line.strip()]
        for field in [name for name in AMOUNTS if name in changed]:
            part, name = AMOUNTS[field]
            amounts = body.setdefault("resources", {}).setdefault(part, {})
            amounts[name] = None if cleaned[field] in ("", None) else cleaned[field]
        for section in ("update", "rollback"):
            names = [name for name in ROLLOUT if f"{section}_{name}" in changed]
            if names:
                body[f"{section}_config"] = {name: cleaned[f"{section}_{name}"] for name in names}
        return body

    def field_of(self, where: tuple[str, ...]) -> str | None:
        if where and where[0] == "resources":
            return next((f for f, place in AMOUNTS.items() if place == where[1:3]), None)
        if len(where) > 1 and where[0].endswith("_config"):
            return f"{where[0].removesuffix('_config')}_{where[1]}"
        return super().field_of(where)


def _container(spec: dict[str, Any]) -> dict[str, Any]:
    return spec.get("TaskTemplate", {}).get("ContainerSpec") or {}


def _rows(pairs: dict[str, str], shown: bool = True) -> list[dict[str, str]]:
    return [{"name": name, "value": value if shown else ""} for name, value in pairs.items()]


def _amounts(resources: dict[str, Any]) -> dict[str, Any]:
    limits, reserved = resources.get("Limits") or {}, resources.get("Reservations") or {}
    return {
        "limit_cpus": limits.get("NanoCPUs", 0) / 10**9 or None,
        "limit_memory": units.memory(limits["MemoryBytes"]) if limits.get("MemoryBytes") else "",
        "limit_pids": limits.get("Pids") or None,
        "reserve_cpus": reserved.get("NanoCPUs", 0) / 10**9 or None,
        "reserve_memory": units.memory(reserved["MemoryBytes"])
        if reserved.get("MemoryBytes")
        else "",
    }


def _rollout(section: str, config: dict[str, Any]) -> dict[str, Any]:
    """The section's fields; where the spec has none, the Engine's defaults."""
    return {
        f"{section}_parallelism": config.get("Parallelism", 1),
        f"{section}_delay": units.duration(config.get("Delay")),
        f"{section}_failure_action": config.get("FailureAction") or "pause",
        f"{section}_monitor": units.duration(config.get("Monitor") or 5 * 10**9),
        f"{section}_max_failure_ratio": config.get("MaxFailureRatio", 0),
        f"{section}_order": config.get("Order") or "stop-first",
    }
