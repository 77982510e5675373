"""HTTP to Django, WebSockets to Channels: for our own pages, and for programs with a token."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")
if not os.environ.get("PILOTHOUSE_SECRET_KEY"):
    raise SystemExit(
        "Set PILOTHOUSE_SECRET_KEY, the same for every process: see docs/configuration.md."
    )

http = get_asgi_application()  # sets Django up, before anything below touches a model

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from clusters.routing import websocket_urlpatterns  # noqa: E402
from controlpanel.sockets import Sockets  # noqa: E402

application = ProtocolTypeRouter(
    {"http": http, "websocket": Sockets(URLRouter(websocket_urlpatterns))}
)
