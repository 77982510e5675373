"""Addresses of metrics, below those of their clusters and services."""

from django.urls import path

from metrics.views import charts, queries

app_name = "metrics"

urlpatterns = [
    path("clusters/<slug:cluster>/metrics/source/", charts.source, name="source"),
    path("clusters/<slug:cluster>/metrics/mapping/", charts.mapping, name="mapping"),
    path("clusters/<slug:cluster>/metrics/look/", charts.look_again, name="look"),
    path("clusters/<slug:cluster>/metrics/remove/", charts.remove, name="source-remove"),
    path("clusters/<slug:cluster>/metrics/sparklines/", charts.sparklines, name="sparklines"),
    path("clusters/<slug:cluster>/services/<str:service>/metrics/", charts.service, name="service"),
    path("clusters/<slug:cluster>/services/<str:service>/metrics/data/", charts.data, name="data"),
    path("clusters/<slug:cluster>/metrics/", queries.query, name="query"),
    path("clusters/<slug:cluster>/metrics/result/", queries.result, name="query-result"),
    path("clusters/<slug:cluster>/metrics/clear/", queries.clear, name="query-clear"),
]
