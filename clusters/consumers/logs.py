"""Logs of a service or a task over a WebSocket."""

from channels.generic.websocket import AsyncWebsocketConsumer


class LogConsumer(AsyncWebsocketConsumer):
    """Placeholder until the stream stands."""
