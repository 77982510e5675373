"""Addresses of metrics, below those of their clusters and services."""

from django.urls import path

from metrics import views

app_name = "metrics"
urlpatterns = [
    path("clusters/<slug:cluster>/metrics/", views.source, name="source"),
    path("clusters/<slug:cluster>/metrics/mapping/", views.mapping, name="mapping"),
    path("clusters/<slug:cluster>/metrics/look/", views.look_again, name="look"),
    path("clusters/<slug:cluster>/metrics/remove/", views.remove, name="source-remove"),
    path("clusters/<slug:cluster>/metrics/sparklines/", views.sparklines, name="sparklines"),
    path("clusters/<slug:cluster>/services/<str:service>/metrics/", views.service, name="service"),
    path("clusters/<slug:cluster>/services/<str:service>/metrics/data/", views.data, name="data"),
]
