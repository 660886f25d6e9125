"""The one rule of a 401, for our own requests and for those of a session by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from requests.utils import rewind_body

from airflow_provider_finauth.client.errors import read_failure
from airflow_provider_finauth.exceptions import SubscriptionKeyError
from airflow_provider_finauth.transport.reading import TransportFault, read_bounded

if TYPE_CHECKING:
    from airflow_provider_finauth.auth.authorizer import Authorizer
    from airflow_provider_finauth.client.profile import Profile
    from airflow_provider_finauth.secret import Secret

_LARGEST_REFUSAL = 64 * 1024


class Replay:
    """Sends a request once more after its token was refused, with another one.

    A request that met a 401 was not processed, so this holds for every method. It happens once for a request,
    however often that is tried.

    :param profile: what is particular to the connection
    :param authorizer: gives the other token
    :param request: what was sent
    """

    def __init__(self, profile: Profile, authorizer: Authorizer, request: requests.PreparedRequest) -> None:
        self._profile = profile
        self._authorizer = authorizer
        self._request = request
        self._is_spent = False

    def authorization(self, response: requests.Response, used: Secret) -> Secret | None:
        """Drop the token that was refused, and get what to send the request again with.

        :param response: the refusal; closed if the request is to be sent again
        :param used: the header that it was sent with
        :return: None if the refusal stands
        """
        # An answer with a history was a redirect's, which has had its replay already.
        if self._is_spent or response.history or self._profile.has_fixed_key:
            return None
        if self._names_subscription_key(response) or not _rewind(self._request):
            return None
        self._is_spent = True
        fresh = self._authorizer.replace(used)
        if fresh is not None:
            response.close()
        return fresh

    def _names_subscription_key(self, response: requests.Response) -> bool:
        """Tell whether the vendor refuses the subscription key, which another token does not mend."""
        if self._profile.judge is None:
            return False
        if not response._content_consumed:  # type: ignore[attr-defined]
            try:
                read_bounded(response, _LARGEST_REFUSAL)
            except TransportFault:
                return False
        return isinstance(self._profile.judge(read_failure(self._profile, response)), SubscriptionKeyError)


def _rewind(request: requests.PreparedRequest) -> bool:
    """Make a request's body ready to be sent again; false if it cannot be."""
    body: Any = request.body
    if body is None or isinstance(body, str | bytes):
        return True
    try:
        rewind_body(request)
    except requests.exceptions.UnrewindableBodyError:
        return False
    return True
