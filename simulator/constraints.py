"""Placement constraints: `node.labels.zone==a`, `node.role!=manager` and their like."""

import re
from dataclasses import dataclass

from simulator.objects import Node

_FORM = re.compile(r"^(?P<key>.*?)(?P<operator>==|!=)(?P<value>.*)$")
_KEY = re.compile(r"^[a-zA-Z_][a-zA-Z0-9\-_.]+$")
_NODE_LABEL = "node.labels."
_ENGINE_LABEL = "engine.labels."


class InvalidConstraint(ValueError):
    """Not of the form key==value or key!=value."""


@dataclass(frozen=True, slots=True)
class Constraint:
    key: str
    equal: bool
    value: str

    def allows(self, node: Node) -> bool:
        found = _attribute(self.key, node)
        if found is None:
            return False
        return (found.lower() == self.value.lower()) == self.equal


def parse(expressions: list[str]) -> list[Constraint]:
    return [_parse_one(expression) for expression in expressions]


def _parse_one(expression: str) -> Constraint:
    match = _FORM.match(expression)
    if match is None:
        raise InvalidConstraint("constraint expected one operator from ==, !=")
    key, value = match["key"].strip(), match["value"].strip()
    if not _KEY.match(key):
        raise InvalidConstraint(f"key '{key}' is invalid")
    return Constraint(key, match["operator"] == "==", value)


def allows(constraints: list[Constraint], node: Node) -> bool:
    return all(constraint.allows(node) for constraint in constraints)


def _attribute(key: str, node: Node) -> str | None:
    """The node's value, empty where a label is not set; None for a key that nothing has."""
    lowered = key.lower()
    if lowered.startswith(_NODE_LABEL):
        return str((node.spec.get("Labels") or {}).get(key[len(_NODE_LABEL) :], ""))
    if lowered.startswith(_ENGINE_LABEL):
        return node.engine_labels.get(key[len(_ENGINE_LABEL) :], "")
    plain = {
        "node.id": node.id,
        "node.hostname": node.hostname,
        "node.ip": node.address,
        "node.role": node.role,
        "node.platform.os": "linux",
        "node.platform.arch": "x86_64",
    }
    return plain.get(lowered)
