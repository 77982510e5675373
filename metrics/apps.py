from django.apps import AppConfig


class MetricsConfig(AppConfig):
    name = "metrics"

    def ready(self) -> None:
        from metrics.fragments import announce  # noqa: PLC0415  # models are there only now

        announce()
