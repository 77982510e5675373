"""What every test with a database needs."""

from collections.abc import Iterator

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations


@pytest.fixture(autouse=True, scope="session")
def _tests_may_empty_the_audit_trail() -> Iterator[None]:
    """The trail refuses to be emptied; between two tests its trigger is passed by."""
    emptied = DatabaseOperations.sql_flush

    def sql_flush(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        return ["SET LOCAL session_replication_role = replica", *emptied(self, *args, **kwargs)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        yield
