from importlib import import_module

from django.apps import AppConfig


class ClustersConfig(AppConfig):
    name = "clusters"

    def ready(self) -> None:
        from access.places import ask_of  # noqa: PLC0415
        from clusters.selectors.scopes import places  # noqa: PLC0415  # models are there only now

        import_module("clusters.timeline.sources")  # adds itself to the timeline
        ask_of(places)
