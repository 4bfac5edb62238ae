"""Requests to the hub: tokens kept until they expire, temporary refusals waited out.

One place for both, so that no caller sees an expired token, a restart of the hub or the
quota of a minute. What is asked does not belong here.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from asean_ip_hub_client.credentials import Credentials
from asean_ip_hub_client.errors import HubError, HubUnreachable, problem_of

ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 90.0
"""A limit that ends later is the caller's affair: it is told, not slept through. Quotas are those
of a minute; an empty one is full again after a second more at most."""

TEMPORARY = frozenset({429, 502, 503, 504})
TOO_SLOW = "search_too_slow"
"""Code of a 503 that helps nobody to ask again: the search must be narrowed."""

EXPIRY_MARGIN_SECONDS = 30.0
"""A token is renewed this long before it expires, so that it does not die on the way."""

USER_AGENT = "asean-ip-hub-client/0.1"
TOKEN_PATH = "/oauth2/token"  # noqa: S105 an address


class Transport:
    """Authenticated GET requests to one hub; may be shared between threads."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        timeout_seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is sent yet."""
        try:
            address = httpx.URL(base_url)
        except httpx.InvalidURL as exc:
            raise ValueError(f"{base_url!r} is not a hub's address: {exc}") from exc
        if address.scheme not in ("https", "http") or not address.host or address.query:
            told = "it begins with https:// and a name, and has no question"
            raise ValueError(f"{base_url!r} is not a hub's address: {told}")
        self.base_url = base_url.rstrip("/")
        self._credentials, self._sleep = credentials, sleep
        self._http = httpx.Client(
            base_url=self.base_url, timeout=timeout_seconds, headers={"User-Agent": USER_AGENT}
        )
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """Return the JSON document at ``path``.

        Raises:
            HubProblem: the hub refuses; its ``code`` says why.
            HubUnreachable: no answer after several attempts.
            HubError: an answer that is not the hub's, or one that leads elsewhere.
        """
        token = self.token()
        answer = self._get(path, parameters, token)
        if answer.status_code == 401:  # revoked before its time, or the clocks differ
            self._forget(token)
            answer = self._get(path, parameters, self.token())
        if not answer.is_success:
            raise problem_of(answer.status_code, _document(answer), _retry_after(answer))
        try:
            return answer.json()
        except ValueError as exc:  # a proxy's page
            told = f"{self.base_url}{path} did not answer with JSON; is something between?"
            raise HubError(told) from exc

    def token(self) -> str:
        """Return an access token that is good for a while, asking for one when needed."""
        with self._lock:
            if time.monotonic() >= self._renew_at:
                self._request_token()
            return self._token

    def _get(self, path: str, parameters: Mapping[str, str] | None, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return self._send(lambda: self._http.get(path, params=parameters, headers=headers))

    def _request_token(self) -> None:
        answer = self._send(self._ask_for_token)
        document = _document(answer)
        if not answer.is_success:
            raise problem_of(answer.status_code, document, _retry_after(answer))
        if not isinstance(document.get("access_token"), str):
            raise HubError(f"{self.base_url}{TOKEN_PATH} did not answer with a token")
        self._token = document["access_token"]
        lifetime = float(document.get("expires_in", 60))
        margin = min(EXPIRY_MARGIN_SECONDS, lifetime / 2)
        self._renew_at = time.monotonic() + lifetime - margin

    def _ask_for_token(self) -> httpx.Response:
        proof = self._credentials.prove(self.base_url)  # anew each time: an assertion is used once
        form = {"grant_type": "client_credentials", **proof.form}
        if proof.basic is None:
            return self._http.post(TOKEN_PATH, data=form)
        return self._http.post(TOKEN_PATH, data=form, auth=proof.basic)

    def _forget(self, token: str) -> None:
        with self._lock:
            if token == self._token:  # else another thread was faster
                self._renew_at = 0.0

    def _send(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        """Make a request until its answer is not a temporary refusal, with growing waits.

        Raises:
            HubUnreachable: not one answer.
            HubError: the address leads elsewhere; credentials do not follow.
        """
        attempt = 0
        while True:
            attempt += 1
            is_last = attempt == ATTEMPTS
            try:
                answer = request()
            except httpx.RequestError as exc:  # no answer, or a compressed one that broke off
                if is_last:
                    raise HubUnreachable(f"{self.base_url} does not answer: {exc}") from exc
                wait = _backoff(attempt)
            else:
                if answer.has_redirect_location:
                    told = f"{answer.url} leads to {answer.headers['location']}"
                    raise HubError(f"{told}: give the address where the hub itself answers")
                asked = _retry_after(answer)
                wait = _backoff(attempt) if asked is None else asked
                if is_last or wait > LONGEST_WAIT_SECONDS or not _is_temporary(answer):
                    return answer
            self._sleep(wait)


def _is_temporary(answer: httpx.Response) -> bool:
    return answer.status_code in TEMPORARY and _document(answer).get("code") != TOO_SLOW


def _backoff(attempt: int) -> float:
    """Return how long to wait, in seconds: growing, and not the same for every client."""
    spread = 0.5 + random.random() / 2  # noqa: S311 no secret depends on it
    return spread * 2.0 ** (attempt - 1)


def _retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds of a ``Retry-After``, a number or a date; ``None`` without one."""
    value = answer.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:  # a proxy's page
        return {}
    return document if isinstance(document, dict) else {}
