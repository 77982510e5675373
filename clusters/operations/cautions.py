"""What a careful colleague would say before a change is asked for."""

from clusters import specs
from clusters.changes import Resume, Rollback, Scale, ServiceChange, Update
from clusters.models import Service
from clusters.ports import Raw
from clusters.problems import Invalid
from clusters.readings import Health


def refuse_unless_insisted(service: Service, change: ServiceChange) -> None:
    """A scale during a rollout. Raises Invalid, with Swarm's reason."""
    if not isinstance(change, Scale) or change.insist:
        return
    if warning := _rollout_warning(service, change):
        raise Invalid(f"{warning} Wait for it, or say that you insist.", "insist")


def _rollout_warning(service: Service, change: ServiceChange) -> str:
    if service.health == Health.PAUSED:
        if isinstance(change, Rollback):
            return ""  # it leads away from what was paused
        if isinstance(change, Update):
            return "A rollout is paused: this update is made on top of its spec."
        return "A rollout is paused: this change sets it going again with the new tasks."
    if service.health == Health.UPDATING:
        return "A rollout is under way: this change cuts it short."
    return ""


def warnings_of(service: Service, change: ServiceChange, after: Raw) -> list[str]:
    """What a careful colleague would say before the button is pressed."""
    if isinstance(change, Resume):
        return _resume_warnings(service)
    found = [_rollout_warning(service, change)]
    if isinstance(change, Scale) and change.replicas == 0:
        found.append("The service will run no task at all.")
    update = after.get("UpdateConfig") or {}
    if specs.replaces_tasks(service.spec, after) and update.get("Parallelism") == 0:
        found.append("The parallelism is 0: all tasks are replaced at the same time.")
    return [warning for warning in found if warning]


def _resume_warnings(service: Service) -> list[str]:
    if specs.is_held(service.spec) or not service.last_error:
        return []
    return [f"New tasks failed: {service.last_error}. Unless the cause is gone, they fail again."]
