"""Addresses of clusters, services and operations."""

from django.urls import URLPattern, URLResolver, include, path

from clusters.views import actions, clusters, operations, services

app_name = "clusters"

_service: list[URLPattern | URLResolver] = [
    path("", services.tasks, name="service"),
    path("tasks/<str:task>/", services.task, name="task"),
    path("logs/", services.logs, name="logs"),
    path("configuration/", services.configuration, name="configuration"),
    path("spec/", services.spec, name="spec"),
    path("operations/", services.operations, name="service-operations"),
    path("revisions/", services.revisions, name="revisions"),
    path("scale/", actions.scale, name="scale"),
    path("update/", actions.update, name="update"),
    path("rollback/", actions.rollback, name="rollback"),
    path("restart/", actions.restart, name="restart"),
    path("resume/", actions.resume, name="resume"),
]
_cluster: list[URLPattern | URLResolver] = [
    path("", clusters.cluster, name="cluster"),
    path("remove/", clusters.remove, name="cluster-remove"),
    path("initialise/", clusters.initialise, name="swarm-init"),
    path("services/", services.table, name="services"),
    path("services/<str:service>/", include(_service)),
]
urlpatterns = [
    path("clusters/new/", clusters.register, name="cluster-register"),
    path("clusters/<slug:cluster>/", include(_cluster)),
    path("operations/", operations.table, name="operations"),
    path("operations/<uuid:operation>/", operations.operation, name="operation"),
    path("operations/<uuid:operation>/cancel/", operations.cancel, name="operation-cancel"),
    path("operations/<uuid:operation>/decide/", operations.decide, name="operation-decide"),
    path("operations/<uuid:operation>/again/", operations.again, name="operation-again"),
]
