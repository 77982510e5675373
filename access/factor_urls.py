"""Addresses of second factors, and the names by which allauth finds its way to our pages."""

from django.urls import path

from access.views import factors, signing

urlpatterns = [
    path("sign-in/", signing.sign_in, name="account_login"),
    path("sign-in/second-factor/", signing.second_factor, name="mfa_authenticate"),
    path("account/authenticator/add/", factors.add_authenticator, name="mfa_activate_totp"),
    path("account/authenticator/remove/", factors.remove_authenticator, name="mfa_deactivate_totp"),
    path("account/keys/add/", factors.add_key, name="mfa_add_webauthn"),
    path("account/keys/<int:pk>/rename/", factors.rename_key, name="mfa_edit_webauthn"),
    path("account/keys/<int:pk>/remove/", factors.remove_key, name="mfa_remove_webauthn"),
    path("account/recovery-codes/", factors.recovery_codes, name="mfa_view_recovery_codes"),
    path(
        "account/recovery-codes/new/",
        factors.new_recovery_codes,
        name="mfa_generate_recovery_codes",
    ),
]
