"""How a service's tasks are made, told apart by slot, and judged."""

from collections import defaultdict

from simulator.clock import now
from simulator.identifiers import object_id
from simulator.objects import Service, Spec, Task, TaskState, TaskStatus
from simulator.store import Store

Slot = list[Task]


def new_task(service: Service, slot: int, node_id: str = "") -> Task:
    """A task for the service as it now is; the caller stores it."""
    return Task(
        id=object_id(),
        service_id=service.id,
        slot=slot,
        by_node=bool(node_id),
        node_id=node_id,
        spec=service.spec["TaskTemplate"],
        spec_version=service.spec_version,
        endpoint_spec=service.spec.get("EndpointSpec"),
        status=TaskStatus(TaskState.NEW, "created", now()),
        desired=goal(service),
        job_iteration=service.job_iteration,
    )


def goal(service: Service) -> TaskState:
    """What a task is meant to reach: a job's ends, another's runs."""
    return TaskState.COMPLETE if service.is_job else TaskState.RUNNING


def again(service: Service, task: Task) -> Task:
    """A new task in the place of another."""
    return new_task(service, task.slot, task.node_id if task.by_node else "")


def by_slot(tasks: list[Task]) -> dict[tuple[int, str], Slot]:
    slots: dict[tuple[int, str], Slot] = defaultdict(list)
    for task in tasks:
        slots[task.place].append(task)
    return slots


def remove_tasks(store: Store, tasks: list[Task]) -> None:
    """Have tasks stopped and then forgotten."""
    with store.batch():
        for task in tasks:
            if task.desired < TaskState.REMOVE:
                store.update(task, desired=TaskState.REMOVE)


def restart_condition(template: Spec) -> str:
    return str((template.get("RestartPolicy") or {}).get("Condition") or "any")
