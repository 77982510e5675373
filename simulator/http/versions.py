"""Which API versions are spoken, and the refusal of others."""

from dataclasses import dataclass

from aiohttp import web

from simulator.http.errors import ApiError

ENGINE_VERSION = "20.10.24+simulated"


@dataclass(frozen=True, slots=True)
class ApiVersions:
    oldest: str
    newest: str

    def require(self, wanted: str) -> None:
        if _numbers(wanted) < _numbers(self.oldest):
            raise ApiError(
                400,
                f"client version {wanted} is too old. Minimum supported API version is "
                f"{self.oldest}, please upgrade your client to a newer version",
            )
        if _numbers(wanted) > _numbers(self.newest):
            raise ApiError(
                400,
                f"client version {wanted} is too new. Maximum supported API version is "
                f"{self.newest}",
            )


API_VERSIONS: web.AppKey[ApiVersions] = web.AppKey("api_versions", ApiVersions)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)
