"""What all hooks have in common: from an Airflow connection to an authenticated conversation."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_finauth.apis.any_list import require_params, with_changes
from airflow_provider_finauth.apis.reading import optional_flag
from airflow_provider_finauth.auth.authorizer import make_authorizer
from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.client.bodies import NotJson, decode_json, is_json
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.client.paging.named import pull_of
from airflow_provider_finauth.exceptions import (
    ApiError,
    ConfigurationError,
    FinauthError,
    StoreUnavailableError,
)
from airflow_provider_finauth.hooks import forms
from airflow_provider_finauth.hooks.records import Records, Source, landing_options
from airflow_provider_finauth.hooks.session import HookSession
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.brokers import broker, memory_broker
from airflow_provider_finauth.runtime.config import read_config
from airflow_provider_finauth.runtime.errors import airflow_errors
from airflow_provider_finauth.settings import Settings, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from airflow_provider_finauth.apis.dates import When
    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.tokens import TokenSet
    from airflow_provider_finauth.client.paging.base import Page, Pull
    from airflow_provider_finauth.client.profile import Profile
    from airflow_provider_finauth.hooks.records import Describe, Reread, Walk


class Api(Protocol):
    """What ``apis/<api>.py`` makes of a connection."""

    profile: Profile

    def probe(self, client: ApiClient) -> None:
        """Make one cheap read."""


class Renewed(NamedTuple):
    """What a renewal gave.

    :param tokens: the token set; its repr shows nothing
    :param is_new: whether another one stood there before
    """

    tokens: TokenSet
    is_new: bool


A = TypeVar("A", bound=Api)


class FinauthHook(BaseHook, Generic[A]):
    """Talks to an API with the credentials of an Airflow connection.

    The connection is read once, when it is first needed; nothing is read while a DAG file is parsed. The
    token is shared with all other tasks of the connection and asked for with each request, so a hook may be
    kept for as long as a task runs, and used from several threads.

    A hook for another API is a subclass that names its connection type and its class of ``apis``.
    """

    conn_type: ClassVar[str]
    api_class: Callable[[Settings], A]

    def __init__(self, conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Airflow 2.11 looks for these in each hook class itself and passes over what is inherited.
        for name in ("get_connection_form_widgets", "get_ui_field_behaviour"):
            if name not in vars(cls):
                setattr(cls, name, vars(FinauthHook)[name])

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Make the fields of Airflow 2.11's form."""
        return forms.widgets(cls.conn_type)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Name the fields of Airflow 2.11's form."""
        return forms.behaviour(cls.conn_type)

    @cached_property
    def settings(self) -> Settings:
        """What the connection says, checked.

        :raises ConfigurationError: names the field that is to be mended
        """
        with airflow_errors():
            found = door.get_connection(self.conn_id)
            if found.conn_type and found.conn_type != self.conn_type:
                raise ConfigurationError(
                    f"Connection '{self.conn_id}' is of type '{found.conn_type}', and {type(self).__name__} "
                    f"wants one of type '{self.conn_type}'.",
                    conn_id=self.conn_id,
                    field="conn_type",
                )
            settings = parse(
                self.conn_type,
                self.conn_id,
                host=found.host,
                login=found.login,
                password=found.password,
                port=found.port,
                extra=found.extra,
            )
            door.mask(*settings.secrets())
            return settings

    @cached_property
    def api(self) -> A:
        """What is particular to the API, as the connection sets it."""
        settings = self.settings
        with airflow_errors():
            return type(self).api_class(settings)

    @cached_property
    def client(self) -> ApiClient:
        """The authenticated conversation."""
        profile = self.api.profile
        with airflow_errors():
            if isinstance(profile.credentials, FixedCredentials):
                door.mask(profile.credentials.header)
            return self._client(profile, broker())

    def _client(self, profile: Profile, tokens: Broker) -> ApiClient:
        profile = replace(profile, max_response_bytes=read_config().max_response_bytes)
        return ApiClient(
            profile,
            make_authorizer(tokens, profile.credentials),
            session_class=HookSession,
            cooldowns=tokens.cooldowns,
        )

    def get_conn(self) -> requests.Session:
        """Give a ``requests.Session`` that authenticates itself: hand it to any library that takes one.

        It sends credentials to the connection's own origins only, and has time-outs.
        """
        return self.client.session

    def request(
        self, method: str, path: str, *, idempotent: bool | str | None = None, **kwargs: Any
    ) -> requests.Response:
        """Make one request; its answer has been checked and read.

        :param method: the HTTP method
        :param path: below the connection's address, or the whole address of one of its origins
        :param idempotent: whether it may be repeated when its answer is lost; None repeats a GET only
        :param kwargs: ``params``, ``json``, ``data``, ``headers``, ``accept_status``
        :raises FinauthError: the API refuses, or cannot be reached
        """
        with airflow_errors():
            return self.client.request(
                method, path, idempotent=optional_flag("idempotent", idempotent), **kwargs
            )

    def answer(self, method: str, path: str, **kwargs: Any) -> Any:
        """Make one request and decode its answer: JSON with exact numbers, else text; None if it is empty.

        :param kwargs: as for :meth:`request`
        """
        response = self.request(method, path, **kwargs)
        content_type = response.headers.get("Content-Type")
        if not response.content:
            return None
        if not is_json(content_type):
            return response.text
        try:
            return decode_json(response.content, content_type)
        except NotJson as error:
            raise ApiError(
                f"Connection '{self.conn_id}': {method} {path} answered {response.status_code} with a body "
                f"that cannot be used: {error}.",
                status=response.status_code,
            ) from None

    def records(
        self,
        path: str,
        *,
        since: When | None = None,
        until: When | None = None,
        since_param: str | None = None,
        until_param: str | None = None,
        changed_field: str | None = None,
        limit: int | str | None = None,
        **kwargs: Any,
    ) -> Records:
        """Pull a list, record by record.

        :param path: below the connection's address, or the whole address of one of its origins
        :param since: the first moment; goes out as ``since_param``
        :param until: the last moment; goes out as ``until_param``
        :param since_param: the parameter by which the API filters by the time of change
        :param until_param: the parameter for that time's end
        :param changed_field: the member that tells when a record changed: the list can be pulled
            incrementally then. Without ``since_param`` all of it is read, and what is new is kept
        :param limit: stop after so many records
        :param kwargs: ``params``, ``paging`` (the name of a style), ``paging_options``, ``records_path``,
            ``key``, ``total``, ``method``, ``json``, ``headers``, ``idempotent``; see the documentation of
            paging
        :raises ConfigurationError: an argument is not of its kind
        """

        def describe(since: When | None, until: When | None) -> Pull:
            return with_changes(
                pull_of(path, **kwargs),
                since=since,
                until=until,
                since_param=since_param or None,
                until_param=until_param or None,
                changed_field=changed_field or None,
            )

        with airflow_errors():
            kwargs["idempotent"] = optional_flag("idempotent", kwargs.get("idempotent"))
            require_params(since=since, until=until, since_param=since_param, until_param=until_param)
        return self._records(describe, since=since, until=until, limit=limit)

    def pages(self, path: str, *, limit: int | str | None = None, **kwargs: Any) -> Iterator[Page]:
        """Pull a list, page by page.

        :param limit: stop after so many records
        :param kwargs: as for :meth:`records`
        """
        return self.records(path, limit=limit, **kwargs).pages()

    def pull(self, path: str, **kwargs: Any) -> list[Any] | dict[str, Any]:
        """Pull a list to where it is wanted.

        :param kwargs: ``output`` and all else that :meth:`.Records.land` takes, and as for :meth:`records`
        """
        landing = landing_options(kwargs)
        return self.records(path, **kwargs).land(**landing)

    def _records(
        self,
        describe: Describe,
        *,
        since: When | None = None,
        until: When | None = None,
        limit: int | str | None = None,
        walk: Walk | None = None,
        reread: Reread | None = None,
    ) -> Records:
        """Make records of a pull.

        :param describe: describes it for the time between two moments; called at once, so that a wrong
            argument is refused, and again where another time is wanted
        :param since: the time asked for
        :param until: the time asked for
        :param limit: stop after so many records
        :param walk: walks the pull, where that takes more than its pages
        :param reread: which pulls an incremental one is made of, where the API does not filter by changes
        """
        with airflow_errors():
            source = Source(
                api=self.conn_type,
                conn_id=self.conn_id,
                base_url=self.api.profile.base_url,
                describe=describe,
                # Not before it is walked: making the client may ask Airflow for the token store.
                walk=walk or (lambda pull, **how: self.client.pages(pull, **how)),
                reread=reread,
            )
        return Records(source, since=since, until=until, limit=limit)

    @property
    def _credentials(self) -> Credentials:
        credentials = self.api.profile.credentials
        if isinstance(credentials, FixedCredentials):
            raise ConfigurationError(
                f"Connection '{self.conn_id}' authenticates with a fixed key, so there is no token.",
                conn_id=self.conn_id,
            )
        return credentials

    def get_token(self) -> TokenSet:
        """Give the token set in use, obtained or refreshed if need be. Its repr shows nothing.

        :raises ConfigurationError: the connection authenticates with a fixed key
        """
        with airflow_errors():
            return broker().token(self._credentials)

    def renew_token(self, *, at_least: float = math.inf) -> Renewed:
        """Give a token set that may be used for so many seconds more, obtained or refreshed if need be.

        :param at_least: seconds; infinity for a new one in any case
        :raises ConfigurationError: the connection authenticates with a fixed key
        """
        with airflow_errors():
            tokens, credentials = broker(), self._credentials
            before = None
            # Without a store those grants that start over alone go on, and what stood there is not known.
            with suppress(StoreUnavailableError):
                before = tokens.stored(credentials)
            renewed = tokens.renew(credentials, at_least=at_least)
            stood = before is not None and before.access_token == renewed.access_token
            return Renewed(renewed, is_new=not stood)

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection: one token and one cheap read, with nothing kept.

        What a person has authorised is not spent on a test: its refresh token may be good for one use only.
        """
        try:
            return True, self._test()
        except FinauthError as error:
            return False, str(error)

    def _test(self) -> str:
        profile = self.api.profile
        credentials = profile.credentials
        if isinstance(credentials, FixedCredentials) or credentials.starts_over_alone:
            client = self._client(profile, memory_broker())
            try:
                self.api.probe(client)
            finally:
                client.close()
            if not isinstance(credentials, FixedCredentials):
                # What tasks have met before need not be waited out any more.
                with suppress(StoreUnavailableError):
                    broker().lift(credentials)
            return "The API has accepted the credentials."
        if broker().is_authorised(credentials):
            return "The fields are complete and the connection is authorised. A test spends no refresh token."
        return (
            "The fields are complete, but nobody has authorised the connection under this name yet: "
            f"run `finauth authorize {self.conn_id}`."
        )
