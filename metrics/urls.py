"""Addresses of metrics, below those of their clusters and services."""

from django.urls import URLPattern, URLResolver, include, path

from metrics.views import charts, panels, queries

app_name = "metrics"

_panel: list[URLPattern | URLResolver] = [
    path("edit/", panels.edit, name="panel-edit"),
    path("move/", panels.move, name="panel-move"),
    path("remove/", panels.remove, name="panel-remove"),
    path("put-back/", panels.put_back, name="panel-put-back"),
]
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
    path("clusters/<slug:cluster>/metrics/panels/", panels.of_cluster, name="panels"),
    path("clusters/<slug:cluster>/metrics/panels/data/", panels.cluster_data, name="panels-data"),
    path("clusters/<slug:cluster>/metrics/new-panel/", panels.create, name="panel-new"),
    path("clusters/<slug:cluster>/metrics/panels/<int:panel>/", include(_panel)),
    path("clusters/<slug:cluster>/stacks/<str:stack>/metrics/", panels.of_stack, name="stack"),
    path(
        "clusters/<slug:cluster>/stacks/<str:stack>/metrics/data/",
        panels.stack_data,
        name="stack-data",
    ),
]
