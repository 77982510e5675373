from django.apps import AppConfig


class MetricsConfig(AppConfig):
    name = "metrics"

    def ready(self) -> None:
        from metrics import fragments, timeline  # noqa: PLC0415  # models are there only now

        fragments.announce()
        timeline.announce()
