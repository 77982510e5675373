"""What the Prometheus of these tests was told, and when."""

import time

from tests.servers.history import Told

NOW = int(time.time()) // 60 * 60
SERVICES = (Told("shop_web", "web"), Told("shop_worker", "worker", tasks=2, errors=0.3))
