"""Refusals in the Engine's form: a status and `{"message": ...}`."""


class ApiError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def not_found(kind: str, reference: str) -> ApiError:
    return ApiError(404, f"{kind} {reference} not found")


def invalid(message: str) -> ApiError:
    return ApiError(400, message)


def refused(message: str) -> ApiError:
    """Refused by the managers, behind the Engine."""
    return invalid(f"rpc error: code = InvalidArgument desc = {message}")


def out_of_sequence() -> ApiError:
    return ApiError(500, "rpc error: code = Unknown desc = update out of sequence")


def precondition_failed(message: str) -> ApiError:
    return invalid(f"rpc error: code = FailedPrecondition desc = {message}")


def name_taken(kind: str, name: str) -> ApiError:
    return ApiError(
        409,
        "rpc error: code = AlreadyExists desc = name conflicts with an existing object: "
        f"{kind} {name} already exists",
    )


def not_a_manager() -> ApiError:
    return ApiError(
        503,
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to '
        "connect this node to swarm and try again.",
    )
