"""What a process counts of itself. No series names a service, a person or an address."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

disable_created_metrics()  # twice the series, for nothing asked
PROCESS = CollectorRegistry()
QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds

ProcessCollector(registry=PROCESS)

# --- The live path -------------------------------------------------------------------------------

VIEWERS = Gauge("pilothouse_live_viewers", "Open sockets of live pages.", registry=PROCESS)
TOPICS = Gauge("pilothouse_live_topics", "Different topics that viewers look at.", registry=PROCESS)
FRAMES = Counter("pilothouse_live_frames", "Frames handed to sockets.", registry=PROCESS)
SENT = Counter(
    "pilothouse_live_sent_bytes", "Bytes of those frames, before compression.", registry=PROCESS
)
COALESCED = Counter(
    "pilothouse_live_coalesced_fragments",
    "Fragments that a newer one of the same element replaced before they were sent.",
    registry=PROCESS,
)
RENDERING = Histogram(
    "pilothouse_live_render_seconds",
    "Rendering one topic's fragments for one permission class.",
    ["topic"],
    buckets=QUICK,
    registry=PROCESS,
)

# --- Docker engines ------------------------------------------------------------------------------

ENGINE_CALLS = Histogram(
    "pilothouse_engine_request_seconds",
    "Requests to Docker engines, until the answer is read.",
    ["method", "endpoint"],
    buckets=QUICK,
    registry=PROCESS,
)
ENGINE_ERRORS = Counter(
    "pilothouse_engine_request_errors",
    "Requests to Docker engines that failed: by HTTP status, timeout or unreachable.",
    ["method", "endpoint", "error"],
    registry=PROCESS,
)

# --- Celery --------------------------------------------------------------------------------------

TASKS = Histogram(
    "pilothouse_celery_task_seconds",
    "Celery's tasks that ended, by their state: SUCCESS, FAILURE, RETRY.",
    ["task", "state"],
    buckets=QUICK,
    registry=PROCESS,
)
