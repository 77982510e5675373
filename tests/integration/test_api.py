"""The API from the request to the engine and back."""

import json
from typing import Any

import pytest
from django.test import Client

from access.policy import Role
from access.tokens import issue_token
from clusters.models import Operation
from tests.integration.log_socket import LogSocket
from tests.integration.panel import Panel, user

pytestmark = pytest.mark.filterwarnings("ignore:No directory at:UserWarning")


class Api:
    def __init__(self, role: Role = Role.OPERATOR) -> None:
        self._headers = {"authorization": f"Bearer {issue_token(user(role=role), 'test')}"}

    def get(self, path: str) -> Any:
        return Client().get(f"/api/v1{path}", headers=self._headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        content = "" if body is None else json.dumps(body)
        return Client().post(
            f"/api/v1{path}", content, content_type="application/json",
            headers={**self._headers, **headers},
        )  # fmt: skip


def follow(panel: Panel, api: Api, answer: Any) -> Any:
    """Carry the accepted operation out, and read how the API tells its end."""
    assert answer.status_code == 202, answer.content
    panel.carry_out(Operation.objects.get(pk=answer.json()["id"]))
    panel.look()
    return api.get(answer["Location"].removeprefix("/api/v1")).json()


def test_every_change_reaches_the_engine_and_its_end_is_told(simulated_panel: Panel) -> None:
    panel, api = simulated_panel, Api()
    service = panel.start(replicas=2)
    path = f"/clusters/lab/services/{service.name}"
    for address, body in (
        ("scale", {"replicas": 3}),
        ("update", {"image": "lab/web:2", "env": {"A": "1"}}),
        ("restart", None),
        ("rollback", {"revision": 1}),
    ):
        told = follow(panel, api, api.post(f"{path}/{address}", body))
        assert (told["state"], told["error"]) == ("succeeded", ""), told
        assert told["progress"]["done"] == told["progress"]["total"]
        assert told["finished_at"]
    shown = api.get(path).json()
    assert shown["replicas"] == {"running": 3, "desired": 3}
    assert shown["image"] == "lab/web:1"


def test_what_a_dry_run_foresees_is_what_happens(simulated_panel: Panel) -> None:
    panel, api = simulated_panel, Api()
    service = panel.start(replicas=3)
    before = panel.raw(service)
    running = {task["ID"] for task in panel.swarm.running(service.engine_id)}
    path = f"/clusters/lab/services/{service.name}/update"
    foreseen = api.post(f"{path}?dry_run=true", {"image": "lab/web:2"}).json()
    assert {task["id"] for task in foreseen["restarts"]} == running
    assert panel.raw(service) == before
    follow(panel, api, api.post(path, {"image": "lab/web:2", "version": foreseen["version"]}))
    after = panel.raw(service)
    assert after.pop("TaskTemplate")["ContainerSpec"].pop("Image") == "lab/web:2"
    before.pop("TaskTemplate")
    assert after == before
    assert not running & {task["ID"] for task in panel.swarm.running(service.engine_id)}


def test_a_change_made_elsewhere_is_a_conflict(simulated_panel: Panel) -> None:
    panel, api = simulated_panel, Api()
    service = panel.start(replicas=1)
    panel.swarm.set_image(service.engine_id, "lab/web:3")
    panel.look()
    body = {"replicas": 2, "version": service.version}
    answer = api.post(f"/clusters/lab/services/{service.name}/scale", body)
    assert answer.status_code == 409
    assert "lab/web:3" in [difference["after"] for difference in answer.json()["theirs"]]
    assert panel.raw(service)["Mode"] == {"Replicated": {"Replicas": 1}}


def test_a_simulated_swarm_has_logs_too(simulated_panel: Panel) -> None:
    panel = simulated_panel
    service = panel.start(replicas=2)
    with LogSocket(panel.actor.user, "lab", service.name) as log:
        log.wait_for(" ")
    lines = Api().get(f"/clusters/lab/services/{service.name}/logs?tail=3").content.splitlines()
    assert {json.loads(line)["task"].rpartition(".")[0] for line in lines} == {service.name}
