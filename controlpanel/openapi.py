"""What the OpenAPI document says beyond the operations themselves: failures, and how to begin."""

from typing import Any

DESCRIPTION = """
Everything that the pages of Pilothouse do, for programs.

Send a token as `Authorization: Bearer …`; `manage.py issue_token USER` prints one. Lists are paged.
Fields and query parameters that an address does not know are refused. A change of a service answers
202 with an operation, and its address in `Location`: read it until its `state` is final. Try a
change with `?dry_run=true` first: it answers what would happen, and changes nothing. Every failure
is a problem document of RFC 9457.
"""

PROBLEM = {
    "type": "object",
    "description": "What went wrong, as RFC 9457 has it.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:pilothouse:problem:conflict"]},
        "title": {"type": "string", "examples": ["Conflict"]},
        "status": {"type": "integer", "examples": [409]},
        "detail": {"type": "string", "description": "A sentence for the one who asked."},
        "instance": {"type": "string", "description": "The address that was asked."},
        "errors": {
            "type": "array",
            "description": "What is wrong with which field.",
            "items": {
                "type": "object",
                "properties": {
                    "in": {"type": "string"},
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
        "current_version": {
            "type": "integer",
            "description": "Of a conflict: the version that the service has now.",
        },
        "theirs": {
            "type": "array",
            "description": "Of a conflict: what somebody else changed since your version.",
            "items": {"type": "object"},
        },
        "yours": {
            "type": "array",
            "description": "Of a conflict: what your change would do to the present spec.",
            "items": {"type": "object"},
        },
        "operation": {
            "type": "string",
            "description": "The operation that is under way on the same service.",
        },
        "action": {"type": "string", "description": "What your role does not allow."},
    },
}

_EVERYWHERE = {
    "400": "The request cannot be read.",
    "401": "No credential, or one that is not accepted.",
    "403": "Your role does not allow it.",
    "404": "There is nothing here, or nothing that you may see.",
    "422": "A parameter or a field is unknown, missing or wrong.",
    "503": "The database or the engine does not answer.",
}
_WRITING = {
    "409": "Somebody else changed the service, or an operation on it is under way.",
    "413": "The body is too large.",
}


def with_problems(document: Any) -> Any:
    """The document with the failures that every operation can answer."""
    document["components"]["schemas"]["Problem"] = PROBLEM
    for methods in document["paths"].values():
        for method, operation in methods.items():
            told = _EVERYWHERE | (_WRITING if method in ("post", "put", "patch") else {})
            responses = operation["responses"]
            for status, description in told.items():
                responses[status] = _response(description, status)
            operation["responses"] = {str(key): value for key, value in responses.items()}
            if "202" in operation["responses"] or "201" in operation["responses"]:
                _add_location(operation["responses"])
    return document


def _response(description: str, status: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    told: dict[str, Any] = {
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    }
    if status == "401":
        told["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    if status == "503":
        told["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    return told


def _add_location(responses: dict[str, Any]) -> None:
    for status in ("201", "202"):
        if status in responses:
            schema = {"type": "string", "description": "The address of what was made."}
            responses[status]["headers"] = {"Location": {"schema": schema}}
