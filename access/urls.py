"""Addresses of signing in and out, one's account, the audit trail, and who may do what."""

from django.urls import include, path

from access.views import (
    account,
    emergencies,
    grants,
    people,
    proof,
    provider,
    signing,
    tokens,
    trail,
)

app_name = "access"
_access = [
    path("", people.people, name="people"),
    path("new-person/", people.make_person, name="person-new"),
    path("people/<str:name>/", people.person, name="person"),
    path("people/<str:name>/rights/", grants.person_rights, name="rights"),
    path("people/<str:name>/link/", people.make_link, name="person-link"),
    path("people/<str:name>/disable/", people.disable, name="person-disable"),
    path("people/<str:name>/enable/", people.enable, name="person-enable"),
    path("groups/", people.groups, name="groups"),
    path("new-group/", people.make_group, name="group-new"),
    path("groups/<str:name>/", people.group, name="group"),
    path("groups/<str:name>/remove/", people.remove_group, name="group-remove"),
    path("groups/<str:name>/members/", people.add_member, name="member-add"),
    path("groups/<str:name>/members/<str:user>/", people.remove_member, name="member-remove"),
    path("grants/", grants.grants, name="grants"),
    path("grants/new/", grants.give, name="grant-new"),
    path("grants/<int:grant>/withdraw/", grants.withdraw, name="grant-withdraw"),
    path("who/", grants.who, name="who"),
    path("roles/", grants.roles, name="roles"),
    path("tokens/", tokens.everybodys, name="tokens"),
    path("protections/", grants.protections, name="protections"),
    path("protections/<int:protection>/remove/", grants.unprotect, name="unprotect"),
    path("emergencies/", emergencies.emergencies, name="emergencies"),
    path("emergencies/new/", emergencies.break_glass, name="emergency-new"),
    path("emergencies/<int:emergency>/", emergencies.emergency, name="emergency"),
    path("emergencies/<int:emergency>/end/", emergencies.give_back, name="emergency-end"),
]
urlpatterns = [
    path("sign-in/", signing.sign_in, name="sign-in"),
    path("sign-in/link/<str:secret>/", signing.sign_in_by_link, name="sign-in-link"),
    path("sign-in/provider/", provider.sign_in, name="provider-sign-in"),
    path("sign-in/provider/callback/", provider.callback, name="provider-callback"),
    path("sign-out/", signing.sign_out, name="sign-out"),
    path("account/", account.account, name="account"),
    path("account/confirm/", proof.confirm, name="confirm"),
    path("account/confirm/provider/", provider.prove, name="provider-proof"),
    path("account/password/", account.set_password, name="password"),
    path("account/sessions/<int:session>/end/", account.end_one, name="session-end"),
    path("account/sessions/end-others/", account.end_others, name="sessions-end-others"),
    path("account/tokens/", tokens.own, name="tokens-own"),
    path("account/tokens/new/", tokens.issue, name="token-new"),
    path("account/tokens/<int:token>/revoke/", tokens.revoke, name="token-revoke"),
    path("audit/", trail.trail, name="audit"),
    path("audit/export/", trail.export, name="audit-export"),
    path("audit/proof/", trail.proof, name="audit-proof"),
    path("access/", include(_access)),
]
