"""The live path's last step: a viewer's socket."""

from channels.generic.websocket import AsyncWebsocketConsumer


class LiveConsumer(AsyncWebsocketConsumer):
    """Placeholder until the hub stands."""
