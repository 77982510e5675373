"""Addresses of signing in and out, one's account, and the audit trail."""

from django.urls import path

from access.views import account, proof, provider, signing

app_name = "access"
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
    path("audit/", signing.audit_trail, name="audit"),
]
