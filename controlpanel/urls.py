"""Every address of the product. The pages live in the apps; the API has a root of its own."""

from django.urls import include, path

from controlpanel import health
from controlpanel.api import api

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("api/v1/", api.urls),
    path("", include("access.urls")),
    path("", include("clusters.urls")),
    path("", include("controlpanel.pages")),
]
