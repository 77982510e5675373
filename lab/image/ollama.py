"""A STAND-IN for Ollama: its HTTP API for versions, models and generation, without any model.

What is in /data/manifests.json is listed as the models that were pulled; the directory is a volume
that all instances share, as the real one's is.
"""

import datetime
import json
import os
import time
from pathlib import Path
from typing import Any

from lab.image.web import (
    Application,
    Refused,
    Request,
    Response,
    as_json,
    as_text,
    end_on_sigterm,
    serve,
    wait_for_the_end,
)

PORT = int(os.environ.get("PORT", "11434"))
MODELS = Path(os.environ.get("OLLAMA_MODELS", "/data"))
VERSION = "0.6.2"
KEEP_SECONDS = 300
FIRST_MODELS = {"llama3.2:3b": 2_019_393_189, "nomic-embed-text:latest": 274_302_450}
PULLED = "2026-01-01T00:00:00Z"


class Ollama(Application):
    def __init__(self, directory: Path = MODELS) -> None:
        super().__init__()
        self._list = directory / "manifests.json"
        self._loaded: dict[str, float] = {}
        self.route("GET /", lambda request: as_text("Ollama is running"))
        self.route("GET /api/version", lambda request: as_json({"version": VERSION}))
        self.route("GET /api/tags", self._tags)
        self.route("GET /api/ps", self._ps)
        self.route("POST /api/generate", self._generate)

    def prepare(self) -> None:
        """The first instance on an empty volume pulls its models."""
        self._list.parent.mkdir(parents=True, exist_ok=True)
        if not self._list.exists():
            self._list.write_text(json.dumps(FIRST_MODELS))

    def _models(self) -> dict[str, int]:
        models: dict[str, int] = json.loads(self._list.read_text())
        return models

    def _tags(self, request: Request) -> Response:
        models = [_model(name, size) for name, size in self._models().items()]
        return as_json({"models": [{**model, "modified_at": PULLED} for model in models]})

    def _ps(self, request: Request) -> Response:
        now, sizes = time.time(), self._models()
        loaded = {name: until for name, until in self._loaded.items() if until > now}
        return as_json({"models": [_running(name, sizes[name], loaded[name]) for name in loaded]})

    def _generate(self, request: Request) -> Response:
        asked: dict[str, Any] = request.json()
        name = str(asked.get("model", ""))
        if name not in self._models():
            raise Refused(404, f"model '{name}' not found")
        self._loaded[name] = time.time() + KEEP_SECONDS
        answer = {"response": "This is a stand-in: there is no model.", "done": True}
        return as_json({"model": name, "created_at": _iso(time.time()), **answer})


def _model(name: str, size: int) -> dict[str, Any]:
    details = {"parent_model": "", "format": "gguf", "family": name.partition(":")[0]}
    return {"name": name, "model": name, "size": size, "digest": f"{size:064x}", "details": details}


def _running(name: str, size: int, until: float) -> dict[str, Any]:
    return {**_model(name, size), "expires_at": _iso(until), "size_vram": size}


def _iso(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat().replace("+00:00", "Z")


def main() -> None:
    end_on_sigterm()
    ollama = Ollama()
    ollama.prepare()
    serve(ollama, PORT)
    wait_for_the_end()


if __name__ == "__main__":
    main()
