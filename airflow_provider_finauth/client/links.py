"""Next-links: where they may lead, and in which form they are followed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from airflow_provider_finauth.exceptions import CrossOriginError
from airflow_provider_finauth.transport.origins import origin_of

if TYPE_CHECKING:
    from airflow_provider_finauth.transport.origins import Origin


def resolve_link(link: str, *, current: str, known: Iterable[Origin]) -> str:
    """Give the URL to follow for a link of an answer.

    A link to a host that we know keeps our scheme and port: a server behind a gateway that ends TLS writes
    ``http://``, or its own port, for the very host that we asked. Otherwise a link is opaque.

    :param link: as the answer has it; may be relative
    :param current: the URL that was answered
    :param known: the origins that may see the credentials
    :raises CrossOriginError: it leads to another host; nothing was sent
    """
    try:
        parts = urlsplit(urljoin(current, link))
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        parts, host = urlsplit(""), ""
    # The host that answered comes first, for vendors with several known origins on one host.
    for origin in (origin_of(current), *sorted(known)):
        if origin.host == host and parts.scheme.lower() in ("http", "https"):
            ours = urlsplit(str(origin))
            return urlunsplit((ours.scheme, ours.netloc, parts.path, parts.query, ""))
    raise CrossOriginError(
        f"The next page was not asked for: the API's link leads to {host or 'no valid host'!r}, and the "
        f"credentials are for {', '.join(sorted({origin.host for origin in known}))} only."
    )
