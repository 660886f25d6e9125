"""What a request may have besides its method and path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_finauth import values
from airflow_provider_finauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_finauth.client.params import Params


class RequestOptions(TypedDict, total=False):
    """What a request may have besides its method and path.

    ``query`` holds its parameters, where booleans go out as ``true`` and ``false`` and None is left out.
    ``json`` is a body, in which a ``Decimal`` goes out as a number; ``data`` a body, or the fields of a form.
    In ``headers`` None removes a header of the connection. ``idempotent`` says whether the request may be
    repeated when its response is lost; None repeats a GET only. ``accept_status`` are statuses besides 2xx
    that are no errors.
    """

    query: Params | None
    json: Any
    data: Mapping[str, Any] | bytes | str | None
    headers: Mapping[str, str | None] | None
    idempotent: bool | str | None
    accept_status: Collection[int]


def read_options(options: RequestOptions) -> dict[str, Any]:
    """Make what the client's ``request`` takes of a request's options.

    :raises ConfigurationError: one is not known, or not of its kind
    """
    sent: dict[str, Any] = {**options}
    unknown = sorted(set(sent) - set(RequestOptions.__annotations__))
    if unknown:
        takes = ", ".join(RequestOptions.__annotations__)
        raise ConfigurationError(f"A request takes no '{unknown[0]}'. It takes {takes}.", field=unknown[0])
    query = sent.pop("query", None)
    sent["params"] = values.optional("query", values.mapping, query) if isinstance(query, str) else query
    if not isinstance(sent.get("headers"), Mapping):
        sent["headers"] = values.optional("headers", values.mapping, sent.get("headers"))
    sent["idempotent"] = values.optional("idempotent", values.flag, sent.get("idempotent"))
    return sent
