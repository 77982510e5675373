"""Every address of the product. The pages live in the apps; the API has a root of its own."""

from django.urls import include, path

from controlpanel import api, health

handler400 = "controlpanel.problems.bad_request"

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    *api.urlpatterns,
    path("", include("access.urls")),
    path("", include("access.factor_urls")),
    path("", include("clusters.urls")),
    path("", include("metrics.urls")),
    path("", include("controlpanel.pages")),
]
