"""Published ports, as an ingress network hands them out."""

from simulator.objects import Service, Spec

FIRST_PORT = 30000


class PublishedPorts:
    def __init__(self) -> None:
        self._next = FIRST_PORT
        self._taken: dict[str, list[Spec]] = {}

    def publish(self, service: Service, spec: Spec | None = None) -> list[Spec]:
        """The service's ports, each with a published one; what it had is kept."""
        wanted = ((spec or service.spec).get("EndpointSpec") or {}).get("Ports") or []
        before = {port["TargetPort"]: port for port in service.endpoint_ports}
        ports = [self._published(port, before.get(port["TargetPort"])) for port in wanted]
        self._taken[service.id] = ports
        return ports

    def release(self, service: Service) -> None:
        self._taken.pop(service.id, None)

    def _published(self, port: Spec, before: Spec | None) -> Spec:
        if port.get("PublishedPort") or port.get("PublishMode") == "host":
            return dict(port)
        if before is not None and before.get("PublishedPort"):
            return dict(port) | {"PublishedPort": before["PublishedPort"]}
        number, self._next = self._next, self._next + 1
        return dict(port) | {"PublishedPort": number}

    def owner(self, wanted: Spec) -> str | None:
        """The id of the service that has an ingress port already, if any has."""
        for service_id, ports in self._taken.items():
            if any(_same_ingress(wanted, port) for port in ports):
                return service_id
        return None


def _same_ingress(wanted: Spec, port: Spec) -> bool:
    keys = ("PublishedPort", "Protocol", "PublishMode")
    return wanted.get("PublishMode") == "ingress" and all(
        wanted.get(key) == port.get(key) for key in keys
    )
