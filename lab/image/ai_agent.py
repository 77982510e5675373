"""ai-agent: answers over HTTP, hands work to Celery's queues, and can be put under a load.

GET|POST /chat                        an answer, after the set latency
POST /tasks?queue=training&seconds=2  work for a queue; count=50, wait=5 for the end
POST /load?cpu=0.5                    burn half a core (load.py knows mem, latency, errors, healthy)
GET  /health /metrics

VERSION names itself in answers; FAIL_HEALTH_AFTER=1 makes /health fail after it has passed once.
"""

import os
import socket
import time

from celery.exceptions import TimeoutError as NotDone

from lab.image import metrics
from lab.image.load import Load
from lab.image.metrics import Histogram, Metric
from lab.image.registration import Registration
from lab.image.tasks import BROKER_TROUBLE, QUEUES, work
from lab.image.tracing import Tracer
from lab.image.web import (
    Application,
    Refused,
    Request,
    Response,
    as_json,
    as_text,
    end_on_sigterm,
    log,
    serve,
    wait_for_the_end,
)

PORT = int(os.environ.get("PORT", "8000"))
VERSION = os.environ.get("VERSION", "dev")
CHECKS_PASSED = float(os.environ.get("FAIL_HEALTH_AFTER", "inf"))
MOST_TASKS = 10_000


class Agent(Application):
    def __init__(self, load: Load, tracer: Tracer) -> None:
        super().__init__()
        self._load, self._tracer = load, tracer
        self._checks = 0
        self._requests = Metric("http_requests_total", "Requests by handler and status.")
        self._seconds = Histogram("http_request_duration_seconds", "How long requests took.")
        self._sent = Metric("ai_agent_tasks_sent_total", "Tasks handed to the queues.")
        self._info = Metric("ai_agent_info", "The version that runs.", "gauge")
        self._info.set(1, version=VERSION)
        self._add_routes()

    def _add_routes(self) -> None:
        for route in ("GET /", "GET /chat", "POST /chat"):
            self.route(route, self._chat)
        self.route("GET /health", self._health)
        self.route("GET /metrics", self._metrics)
        self.route("GET /load", lambda request: as_json(self._load.set({})))
        self.route("POST /load", self._set_load)
        self.route("POST /tasks", self._tasks)

    def answer(self, request: Request) -> Response:
        began, wall = time.monotonic(), time.time()
        response = super().answer(request)
        if request.path in ("/", "/chat", "/tasks"):
            self._observe(request, response, wall, time.monotonic() - began)
        return response

    def _observe(self, request: Request, response: Response, at: float, seconds: float) -> None:
        code = str(response.status)
        self._requests.add(handler=request.path, code=code)
        self._seconds.observe(seconds, handler=request.path, code=code)
        tags = {"http.status_code": code, "version": VERSION}
        self._tracer.trace(f"{request.method} {request.path}", at, seconds, **tags)

    def _chat(self, request: Request) -> Response:
        time.sleep(self._load.latency)
        if self._load.fails():
            raise Refused(500, "this answer is an error, as was asked for")
        return as_json({"answer": "ok", "version": VERSION, "host": socket.gethostname()})

    def _health(self, request: Request) -> Response:
        self._checks += 1
        well = self._load.healthy and self._checks <= CHECKS_PASSED
        answer = {"status": "ok" if well else "failing", "version": VERSION}
        return as_json(answer, 200 if well else 503)

    def _metrics(self, request: Request) -> Response:
        known = (self._requests, self._seconds, self._sent, self._info)
        return as_text(metrics.render(known), metrics.KIND)

    def _set_load(self, request: Request) -> Response:
        try:
            return as_json(self._load.set(request.query))
        except ValueError as error:
            raise Refused(400, str(error)) from error

    def _tasks(self, request: Request) -> Response:
        queue = request.query.get("queue", QUEUES[0])
        if queue not in QUEUES:
            raise Refused(400, f"the queues are {', '.join(QUEUES)}")
        count = min(int(request.query.get("count", "1")), MOST_TASKS)
        seconds = float(request.query.get("seconds", "0.1"))
        try:
            sent = [work.apply_async((seconds,), queue=queue) for _ in range(count)]
            self._sent.add(count, queue_name=queue)
            if "wait" in request.query:
                sent[-1].get(timeout=float(request.query["wait"]))
        except BROKER_TROUBLE as error:
            raise Refused(503, f"RabbitMQ does not take it: {error}") from error
        except NotDone as error:
            raise Refused(504, "the task is not done yet") from error
        return as_json({"queue": queue, "tasks": [task.id for task in sent]}, 202)


def main() -> None:
    load, tracer = Load(), Tracer("ai-agent")
    registration = Registration("ai-agent", PORT)
    end_on_sigterm(registration.end)
    log("starting", version=VERSION)
    load.start()
    tracer.start()
    serve(Agent(load, tracer), PORT)
    registration.start()
    wait_for_the_end()


if __name__ == "__main__":
    main()
