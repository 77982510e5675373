from django.urls import path

from clusters.consumers.live import LiveConsumer
from clusters.consumers.logs import LogConsumer

websocket_urlpatterns = [
    path("live/", LiveConsumer.as_asgi()),
    path("live/logs/<slug:cluster>/<str:service>/", LogConsumer.as_asgi()),
]
