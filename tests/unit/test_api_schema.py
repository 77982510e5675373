"""The API keeps what its own OpenAPI document promises, whatever is sent."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.serializers.json import DjangoJSONEncoder
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.urls import set_urlconf
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from access.policy import Role
from access.tokens import issue_token
from clusters.models import Operation, SwarmTask
from controlpanel.api import api
from tests.unit.panel import MARKS, make_cluster, make_service, make_user

pytestmark = MARKS
EXAMPLES = 15  # of each operation, valid and invalid ones
OPERATION = "00000000-0000-4000-8000-000000000001"
# What a document cannot say: that 3.0 is no count, which words stand in the same panel together, or
# that nothing would change. Those requests are refused with 422, which the other checks judge.
NO_ENGINE = "urn:pilothouse:problem:engine"  # none answers here, and the panel says so
BEYOND = [positive_data_acceptance]
KNOWN = {"cluster": "local", "service": "web", "operation": OPERATION}


def _document() -> dict[str, Any]:
    set_urlconf("controlpanel.api")
    try:
        document: dict[str, Any] = json.loads(
            json.dumps(api.get_openapi_schema(), cls=DjangoJSONEncoder)
        )
    finally:
        set_urlconf(None)
    return document


DOCUMENT = _document()
OPERATIONS = [(path, method) for path, of in DOCUMENT["paths"].items() for method in of]


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Requests within the test's own transaction, as Django's test client makes them."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def headers(one_connection: None) -> dict[str, str]:
    """An administrator's, in a panel that has something to look at."""
    cluster = make_cluster()
    make_service(cluster)
    SwarmTask.objects.update(container_id="")  # so no log has to be asked of an engine
    user = make_user(Role.ADMIN)
    Operation.objects.create(
        id=OPERATION, kind="scale", cluster=cluster, target="other", target_id="other",
        requested_by=user,
    )  # fmt: skip
    token = issue_token(user, "schemathesis")
    return {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_document_is_kept(path: str, method: str, headers: dict[str, str]) -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.app = get_wsgi_application()
    operation = schema[path][method]
    known = {p.name: KNOWN[p.name] for p in operation.path_parameters if p.name in KNOWN}
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    cases = [operation.as_strategy(mode, path_parameters=known or None) for mode in modes]

    @given(case=st.one_of(cases))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )
    def keep(case: Any) -> None:
        with transaction.atomic():  # each example meets the same panel
            answer = case.call(headers=headers)
            away = answer.status_code == 503 and answer.json()["type"] == NO_ENGINE
            passed_by = [*BEYOND, not_a_server_error] if away else BEYOND
            case.validate_response(answer, headers=headers, excluded_checks=passed_by)
            transaction.set_rollback(True)

    keep()
