"""Giving access and taking it away from the command line."""

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from access.authorize import allowed
from access.models import AuditEntry, User
from access.policy import Action, Scope
from access.requests import has_second_factor
from access.tokens import find_token, issue_token, use_link
from tests.unit.signing import give_app, give_recovery_codes

pytestmark = pytest.mark.django_db


def test_a_new_user_gets_a_link_that_signs_in_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("grant", "vera", "viewer", "--cluster", "local")
    secret = capsys.readouterr().out.rsplit("/sign-in/link/", 1)[1].strip().rstrip("/")
    vera = User.objects.get(username="vera")

    assert use_link(secret) == vera
    assert use_link(secret) is None
    assert Action.SERVICE_VIEW in allowed(vera, Scope("local"))
    assert not allowed(vera, Scope("elsewhere"))


def test_a_withdrawn_role_ends_its_rights_and_both_are_recorded() -> None:
    call_command("grant", "vera", "operator")
    call_command("grant", "vera", "operator", "--withdraw")

    assert not allowed(User.objects.get(username="vera"))
    actions = AuditEntry.objects.filter(target="vera").values_list("action", flat=True)
    assert sorted(actions) == ["access.grant", "access.person", "access.withdraw"]


def test_a_disabled_user_has_no_rights_and_no_token() -> None:
    call_command("grant", "vera", "admin")
    vera = User.objects.get(username="vera")
    token = issue_token(vera, "script")
    call_command("disable_user", "vera")

    assert not allowed(vera)
    assert find_token(token) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("grant", "ve ra", "viewer"),
        ("grant", "vera", "viewer", "--stack", "shop"),
        ("grant", "viewer"),
        ("grant", "vera", "viewer", "--group", "ops"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command(*arguments)
    assert not User.objects.exists()


def test_a_role_that_nobody_has_cannot_be_withdrawn() -> None:
    with pytest.raises(CommandError, match="vera is not viewer"):
        call_command("grant", "vera", "viewer", "--withdraw")


def test_a_group_gets_a_role_and_gives_it_to_its_members() -> None:
    call_command("grant", "operator", "--group", "shop team", "--cluster", "local")
    vera = User.objects.create(username="vera")
    vera.groups.add(Group.objects.get(name="shop team"))
    assert Action.SERVICE_SCALE in allowed(vera, Scope("local"))
    call_command("grant", "operator", "--group", "shop team", "--cluster", "local", "--withdraw")
    assert not allowed(vera, Scope("local"))


def test_who_lost_every_second_factor_starts_anew() -> None:
    vera = User.objects.create_user("vera")
    with pytest.raises(CommandError, match="vera has no second factor"):
        call_command("forget_second_factors", "vera")
    give_app(vera)
    give_recovery_codes(vera)
    call_command("forget_second_factors", "vera")
    assert not has_second_factor(vera)
    assert not vera.authenticator_set.exists()
    assert AuditEntry.objects.get().action == "factor.forget"
    with pytest.raises(CommandError, match="no user named kim"):
        call_command("forget_second_factors", "kim")
