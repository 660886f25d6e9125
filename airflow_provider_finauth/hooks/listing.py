"""A hook's list methods, made of the resources that its API declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.apis.resource import resource_of
from airflow_provider_finauth.pulls.records import Records, Source
from airflow_provider_finauth.runtime.errors import airflow_errors

if TYPE_CHECKING:
    from airflow_provider_finauth.client.paging.base import Pull
    from airflow_provider_finauth.hooks.base import FinauthHook
    from airflow_provider_finauth.values import When

A = TypeVar("A", bound=Api)
P = ParamSpec("P")


def listing(method: Callable[Concatenate[A, P], Pull]) -> Callable[Concatenate[FinauthHook[A], P], Records]:
    """Make a hook's method of a resource: with its arguments, and the records as the result.

    :param method: of the hook's API, declared as a resource
    """
    declared = resource_of(method)

    @airflow_errors()
    def records(hook: FinauthHook[A], /, *args: P.args, **kwargs: P.kwargs) -> Records:
        api = hook.api
        # An API may declare a resource anew that it has from another one.
        resource = getattr(getattr(type(api), declared.name, None), "resource", declared)
        given = resource.read(*args, **kwargs)

        def describe(since: When | None, until: When | None) -> Pull:
            window = {"since": since, "until": until} if resource.has_window else {}
            return resource.describe(api, {**given, **window})

        source = Source(
            api=hook.conn_type,
            conn_id=hook.conn_id,
            base_url=api.profile.base_url,
            describe=describe,
            # Not before it is walked: making the client may ask Airflow for the token store.
            walk=lambda pull, **how: hook.client.pages(pull, **how),
            read=lambda pull: hook.client.records(pull),
        )
        return Records(source, since=given.get("since"), until=given.get("until"))

    records.__name__ = declared.name
    records.__qualname__ = method.__qualname__
    records.__module__ = method.__module__
    records.__doc__ = declared.documentation
    records.__signature__ = declared.signature_returning(Records)  # type: ignore[attr-defined]
    return records
