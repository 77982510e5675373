"""The API's root."""

from ninja import NinjaAPI

api = NinjaAPI(title="Pilothouse", version="1", docs_url=None)
