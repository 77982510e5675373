from importlib import import_module

from django.apps import AppConfig


class ControlPanelConfig(AppConfig):
    name = "controlpanel"

    def ready(self) -> None:
        import_module("controlpanel.safety")  # its check of the settings
