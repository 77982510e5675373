"""The states of an operation and the ways between them: one table, checked at import."""

from clusters.models import Operation

S = Operation.State
TRANSITIONS: dict[str, frozenset[str]] = {
    S.AWAITING: frozenset({S.PENDING, S.CANCELLED, S.CANCELLING}),
    S.PENDING: frozenset({S.RUNNING, S.CANCELLING, S.CANCELLED, S.FAILED}),
    S.RUNNING: frozenset({S.SUCCEEDED, S.FAILED, S.ROLLED_BACK, S.CANCELLING, S.INTERRUPTED}),
    S.CANCELLING: frozenset({S.CANCELLED, S.SUCCEEDED, S.FAILED, S.ROLLED_BACK, S.INTERRUPTED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
    S.ROLLED_BACK: frozenset(),
    S.CANCELLED: frozenset(),
    S.INTERRUPTED: frozenset(),
}
if set(TRANSITIONS) != set(S) or not all(after <= set(S) for after in TRANSITIONS.values()):
    raise TypeError("the operation states and their transitions do not match")
if {state for state, after in TRANSITIONS.items() if after} != set(Operation.OPEN):
    raise TypeError("an open state must lead somewhere, and a final one nowhere")


def sources(target: str) -> list[str]:
    """The states from which `target` may be reached."""
    return [state for state, after in TRANSITIONS.items() if target in after]
