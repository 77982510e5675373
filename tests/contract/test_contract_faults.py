"""Engines that hang, die and come back: what a client sees of it."""

import docker
import pytest
import requests.exceptions

from tests.contract.swarm_api import SwarmApi
from tests.engines import Engine, SimulatedEngine

AnyEngine = Engine | SimulatedEngine


def test_a_frozen_engine_lets_a_client_wait_until_its_timeout(fragile: AnyEngine) -> None:
    client = docker.APIClient(fragile.url, version="1.41", timeout=1)

    fragile.freeze()
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.ping()
    client.close()

    fragile.thaw()
    patient = docker.APIClient(fragile.url, version="1.41", timeout=60)
    assert patient.ping() is True
    patient.close()


def test_a_killed_engine_refuses_and_answers_again_once_started(fragile: AnyEngine) -> None:
    fragile.kill()
    with pytest.raises(docker.errors.DockerException):
        docker.APIClient(fragile.url, version="auto", timeout=2)

    fragile.start()
    api = SwarmApi(fragile.url)
    assert api.get("/_ping").status == 200
    api.close()


def test_an_event_stream_ends_silently_when_the_engine_dies(fragile: AnyEngine) -> None:
    """Nothing tells it from a quiet engine but the end of the stream."""
    client = docker.APIClient(fragile.url, version="1.41", timeout=10)
    stream = client.events(decode=True)

    fragile.kill()

    events = [event for event in stream if event.get("Type") == "service"]
    assert events == []
    client.close()


@pytest.mark.engine
def test_services_survive_a_power_failure(fragile_swarm_engine: Engine) -> None:
    """Of the real engine alone: the simulator keeps its state in memory."""
    api = SwarmApi(fragile_swarm_engine.url)
    service_id = api.start()
    before = api.service(service_id)

    fragile_swarm_engine.power_off()
    fragile_swarm_engine.power_on()
    fragile_swarm_engine.start()

    api.converge(service_id)
    assert api.service(service_id)["Spec"] == before["Spec"]
    api.close()
