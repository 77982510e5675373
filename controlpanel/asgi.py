"""HTTP to Django, WebSockets to Channels: for our own pages, and for programs with a token."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")

http = get_asgi_application()  # sets Django up, before anything below touches a model

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from clusters.routing import websocket_urlpatterns  # noqa: E402
from controlpanel.limits import BodyLimit  # noqa: E402
from controlpanel.origins import OwnPagesOnly  # noqa: E402
from controlpanel.safety import refuse_unsafe  # noqa: E402
from controlpanel.sockets import Sockets  # noqa: E402
from telemetry.reporting import report_as  # noqa: E402

refuse_unsafe()
report_as("web")

application = ProtocolTypeRouter(
    {
        "http": BodyLimit(http),
        "websocket": OwnPagesOnly(Sockets(URLRouter(websocket_urlpatterns))),
    }
)
