"""Addresses of clusters, services and operations."""

from django.urls import URLPattern, URLResolver, include, path

from clusters.views import actions, clusters, configs, objects, operations, services, timeline

app_name = "clusters"

_service: list[URLPattern | URLResolver] = [
    path("", services.tasks, name="service"),
    path("tasks/<str:task>/", services.task, name="task"),
    path("logs/", services.logs, name="logs"),
    path("configuration/", services.configuration, name="configuration"),
    path("spec/", services.spec, name="spec"),
    path("operations/", services.operations, name="service-operations"),
    path("timeline/", timeline.of_service, name="service-timeline"),
    path("revisions/", services.revisions, name="revisions"),
    path("scale/", actions.scale, name="scale"),
    path("update/", actions.update, name="update"),
    path("rollback/", actions.rollback, name="rollback"),
    path("restart/", actions.restart, name="restart"),
    path("resume/", actions.resume, name="resume"),
]
_secret: list[URLPattern | URLResolver] = [
    path("", objects.secret, name="secret"),
    path("rotate/", objects.rotate_secret, name="secret-rotate"),
    path("remove/", objects.remove_secret, name="secret-remove"),
]
_config: list[URLPattern | URLResolver] = [
    path("", objects.config, name="config"),
    path("rotate/", objects.rotate_config, name="config-rotate"),
    path("remove/", objects.remove_config, name="config-remove"),
    path("compare/", configs.compare, name="config-compare"),
    path("data/", configs.data, name="config-data"),
]
_cluster: list[URLPattern | URLResolver] = [
    path("", clusters.cluster, name="cluster"),
    path("remove/", clusters.remove, name="cluster-remove"),
    path("initialise/", clusters.initialise, name="swarm-init"),
    path("timeline/", timeline.of_cluster, name="timeline"),
    path("services/", services.table, name="services"),
    path("services/<str:service>/", include(_service)),
    path("secrets/", objects.secrets, name="secrets"),
    path("new-secret/", objects.create_secret, name="secret-create"),  # a secret may be named new
    path("secrets/<str:name>/", include(_secret)),
    path("kept-secrets/<str:name>/put-back/", objects.put_back, name="secret-put-back"),
    path("kept-secrets/<str:name>/forget/", objects.forget, name="secret-forget"),
    path("configs/", objects.configs, name="configs"),
    path("new-config/", objects.create_config, name="config-create"),
    path("configs/<str:name>/", include(_config)),
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
