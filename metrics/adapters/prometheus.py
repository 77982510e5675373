"""Prometheus' HTTP API by way of prometheus-api-client, held to limits of time and size.

The client is used for its two queries alone. It knows no timeout of its own, retries what hangs,
follows redirects, reads answers of any size and throws Prometheus' error away: so the session that
it is given does all of that.
"""

import json
import math
import re
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NoReturn

import requests
from prometheus_api_client import PrometheusConnect
from requests.auth import HTTPBasicAuth
from requests.exceptions import ConnectionError, RequestException, SSLError, Timeout
from urllib3.exceptions import HTTPError, TimeoutError
from urllib3.util.retry import Retry

from clusters.adapters.checked import CheckedAdapter
from clusters.destinations import NotADestination
from metrics.ports import (
    MOST_BYTES,
    MOST_POINTS,
    MOST_SERIES,
    Access,
    Answer,
    MetricsAway,
    Series,
    TooMuch,
    Value,
    WrongQuery,
)

CHUNK = 1 << 16  # bytes that are read at once
CONNECTING = 3.0  # seconds: an address that is away must not cost the whole timeout
POSITION = re.compile(r"\b(\d+):(\d+): parse error")
# What Prometheus says of a query that is right, but too large for it.
TOO_MUCH = ("exceeded maximum resolution", "too many samples", "query timed out", "too many")


class Prometheus:
    """See `ports.Metrics`. Safe to use from several threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session = _Session(access)
        url = access.address.rstrip("/")
        self._client = PrometheusConnect(
            url, session=self._session, retry=Retry(0), timeout=access.timeout
        )
        # The client has just mounted an adapter of its own, which goes anywhere.
        self._session.mount(url, self._session.checked)

    def instant(self, query: str, at: datetime | None = None) -> Answer:
        params = {"timeout": f"{self._access.timeout:g}s"}
        if at is not None:
            params["time"] = f"{at.timestamp():.3f}"
        return self._answer(self._client.custom_query(query, params))

    def range(self, query: str, start: datetime, end: datetime, step: int) -> Answer:
        points = (end - start).total_seconds() // step + 1
        if points > MOST_POINTS:
            raise TooMuch(
                f"{points:,.0f} points of each series are more than Prometheus gives at once"
                f" ({MOST_POINTS:,}): take a longer step or a shorter range."
            )
        params = {"timeout": f"{self._access.timeout:g}s"}
        return self._answer(self._client.custom_query_range(query, start, end, str(step), params))

    def values(
        self, label: str, start: datetime, end: datetime, selector: str = ""
    ) -> tuple[str, ...]:
        params = _within(start, end, selector)
        return tuple(map(str, self._client.get_label_values(label, params)))

    def labels(self, start: datetime, end: datetime, selector: str) -> tuple[str, ...]:
        return tuple(map(str, self._client.get_label_names(_within(start, end, selector))))

    def close(self) -> None:
        self._client.close()

    def _answer(self, result: Any) -> Answer:
        series = tuple(_series_of(result))
        if len(series) > MOST_SERIES:
            raise TooMuch(
                f"The answer has {len(series):,} series, more than the panel takes"
                f" ({MOST_SERIES:,}): narrow the query, or aggregate it."
            )
        return Answer(series, self._session.warnings)


def _within(start: datetime, end: datetime, selector: str) -> dict[str, Any]:
    """Prometheus looks at whole blocks: what is just outside may be told, too."""
    span = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
    return {**span, "match[]": selector} if selector else span


# --- What comes back -----------------------------------------------------------------------------


def _series_of(result: Any) -> Iterator[Series]:
    """Of a vector or a matrix; a scalar or a string is one bare point without labels."""
    if len(result) == 2 and not isinstance(result[0], dict):
        yield Series({}, (_point(result),))
        return
    for entry in result:
        points = entry.get("values") or ([entry["value"]] if "value" in entry else [])
        yield Series(entry["metric"], tuple(map(_point, points)))


def _point(raw: list[Any]) -> tuple[float, Value]:
    try:
        value = float(raw[1])
    except ValueError:  # a string
        return float(raw[0]), None
    return float(raw[0]), value if math.isfinite(value) else None


class _Session(requests.Session):
    """Bounded in time and size; never elsewhere than to the address that was given."""

    def __init__(self, access: Access) -> None:
        super().__init__()
        self._access = access
        self._told = threading.local()
        self.checked = _Adapter(access)
        self.trust_env = False  # or a proxy, .netrc or REQUESTS_CA_BUNDLE would have a say
        self.headers["Accept-Encoding"] = "gzip"
        if access.token:
            self.headers["Authorization"] = f"Bearer {access.token}"
        elif access.username:
            self.auth = HTTPBasicAuth(access.username.encode(), access.password.encode())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of this thread's last answer."""
        found: tuple[str, ...] = getattr(self._told, "warnings", ())
        return found

    def request(self, method: str, url: str, **of: Any) -> requests.Response:  # type: ignore[override]
        """Raises MetricsAway, WrongQuery, TooMuch."""
        ends = time.monotonic() + self._access.timeout
        of |= {
            "stream": True,
            "allow_redirects": False,
            "timeout": (min(CONNECTING, self._access.timeout), self._access.timeout),
        }
        try:
            with super().request(method, url, **of) as response:
                response._content = self._read(response, ends)
        except NotADestination as refusal:
            raise MetricsAway(str(refusal)) from refusal
        except (RequestException, HTTPError, OSError) as error:
            raise MetricsAway(_why(self._access, error)) from error
        body = _document(response)
        if response.status_code != requests.codes.ok or body.get("status") != "success":
            _refuse(self._access, response, body)
        found = body.get("warnings") or []
        self._told.warnings = tuple(str(warning)[:500] for warning in found[:20])
        return response

    def _read(self, response: requests.Response, ends: float) -> bytes:
        """The body, as long as it is neither too large nor too slow."""
        content = bytearray()
        # What has come so far: `read` would wait for a whole chunk, however slowly it drips.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            content += chunk
            if len(content) > MOST_BYTES:
                raise TooMuch(
                    f"The answer is larger than {MOST_BYTES >> 20} MiB: narrow the query, or take"
                    " a shorter range."
                )
            if time.monotonic() > ends:
                raise Timeout(f"it took longer than {self._access.timeout:g} s")
        return bytes(content)


class _Adapter(CheckedAdapter):
    """Connects to checked addresses alone, trusting the source's own CA if it has one."""

    def __init__(self, access: Access) -> None:
        self._ca = access.ca
        super().__init__(access.refused)

    def init_poolmanager(self, *args: Any, **of: Any) -> None:
        if self._ca:
            # As text, so that no file of it has to lie anywhere.
            of["ssl_context"] = ssl.create_default_context(cadata=self._ca)
        super().init_poolmanager(*args, **of)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)
        if self._ca:
            conn.ca_certs = None  # the public authorities; the context has the private one

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if self._ca:
            pool.pop("ca_certs", None)
            pool.pop("ca_cert_dir", None)
        return host, pool


def _document(response: requests.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


# --- What can go wrong, in words -----------------------------------------------------------------


def _why(access: Access, error: Exception) -> str:
    where, causes = access.address, list(_causes(error))
    if refusal := next((cause for cause in causes if isinstance(cause, NotADestination)), None):
        return str(refusal)
    if isinstance(error, SSLError):
        return (
            f"{where} was refused: its certificate is not trusted ({_said(causes)}). Give the CA"
            " certificate that signed it."
        )
    if isinstance(error, Timeout | TimeoutError):
        return (
            f"{where} did not answer within {access.timeout:g} s. Does it run, and may this"
            " machine reach it?"
        )
    if isinstance(error, ConnectionError):
        return f"{where} cannot be reached: {_said(causes)}. Does Prometheus run there?"
    return f"{where} broke its answer off: {_said(causes)}."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """From the outermost to the socket's own: requests wraps urllib3's, which wraps that."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
        error = next((one for one in inner if isinstance(one, BaseException)), None)


def _said(causes: list[BaseException]) -> str:
    """The innermost reason in words: the others print objects around it."""
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return type(causes[-1]).__name__


def _refuse(access: Access, response: requests.Response, body: dict[str, Any]) -> NoReturn:
    """Raise what an answer without a result means."""
    status, said = response.status_code, str(body.get("error") or "")[:2000]
    kind = body.get("errorType")
    if any(word in said for word in TOO_MUCH):
        raise TooMuch(f"Prometheus refused: {said}. Take a shorter range or a narrower query.")
    if kind in ("bad_data", "execution"):
        found = POSITION.search(said)
        line, column = (int(found[1]), int(found[2])) if found else (0, 0)
        raise WrongQuery(said, line, column)
    raise MetricsAway(_refusal(access.address, status, said))


def _refusal(where: str, status: int, said: str) -> str:
    if status in (401, 403):
        return (
            f"{where} refused the panel ({status}): give a token, or a name and a password, that"
            " may query it."
        )
    if 300 <= status < 400:
        return f"{where} answers with a redirect, which is not followed: give the final address."
    if status == 404:
        return f"{where} has no Prometheus API (404): is its path missing from the address?"
    if status == 200:
        return f"{where} answers, but not as Prometheus does: is the address right?"
    return f"{where} failed ({status}){': ' + said if said else ''}. Its own log tells more."
