"""What all hooks have in common: from an Airflow connection to an authenticated conversation."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar, Unpack, get_args

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.auth.authorizer import make_authorizer
from airflow_provider_finauth.auth.credentials import FixedCredentials
from airflow_provider_finauth.client.client import ApiClient
from airflow_provider_finauth.client.options import RequestOptions, read_options
from airflow_provider_finauth.connections import CONNECTION_TYPES
from airflow_provider_finauth.exceptions import ConfigurationError, FinauthError, StoreUnavailableError
from airflow_provider_finauth.hooks import forms
from airflow_provider_finauth.hooks.listing import listing
from airflow_provider_finauth.hooks.session import HookSession
from airflow_provider_finauth.runtime import door
from airflow_provider_finauth.runtime.brokers import broker
from airflow_provider_finauth.runtime.config import read_config
from airflow_provider_finauth.runtime.connection_check import try_connection
from airflow_provider_finauth.runtime.connection_settings import read_settings
from airflow_provider_finauth.runtime.errors import airflow_errors

if TYPE_CHECKING:
    import requests

    from airflow_provider_finauth.auth.broker import Broker
    from airflow_provider_finauth.auth.credentials import Credentials
    from airflow_provider_finauth.auth.tokens import TokenSet
    from airflow_provider_finauth.client.profile import Profile
    from airflow_provider_finauth.settings import Settings

A_co = TypeVar("A_co", bound=Api, covariant=True)


class Renewed(NamedTuple):
    """What a renewal brought.

    :param tokens: the token set; its repr shows nothing
    :param is_new: whether another one stood there before
    """

    tokens: TokenSet
    is_new: bool


class FinauthHook(BaseHook, Generic[A_co]):
    """Talks to an API with the credentials of an Airflow connection.

    The connection is read once, when it is first needed; nothing is read while a DAG file is parsed. The
    token is shared with all other tasks of the connection and asked for with each request, so a hook may be
    kept for as long as a task runs, and used from several threads.

    A hook for another API is a subclass of ``FinauthHook[Acme]`` that names its connection type, where
    ``Acme`` is the API's class in ``apis``; what it is called, and its forms, come from ``connections.py``.

    :param conn_id: the connection
    """

    conn_type: ClassVar[str]
    conn_name_attr: ClassVar[str]
    default_conn_name: ClassVar[str]
    hook_name: ClassVar[str]
    api_class: ClassVar[type[Api]]

    # A list of any path; those that an API documents are methods of its own hook.
    records = listing(Api.records)

    def __init__(self, conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in vars(cls).get("__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, Api):
                    cls.api_class = argument
        if "conn_type" in vars(cls):
            cls.conn_name_attr = f"{cls.conn_type}_conn_id"
            cls.default_conn_name = f"{cls.conn_type}_default"
            declared = CONNECTION_TYPES.get(cls.conn_type)
            cls.hook_name = cls.conn_type if declared is None else declared.title
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
    @airflow_errors()
    def settings(self) -> Settings:
        """What the connection says, checked.

        :raises ConfigurationError: names the field that is to be corrected
        """
        return read_settings(self.conn_id, self.conn_type, type(self).__name__)

    @cached_property
    @airflow_errors()
    def api(self) -> A_co:
        """What is particular to the API, as the connection sets it."""
        made: Any = type(self).api_class(self.settings)
        return made  # type: ignore[no-any-return]

    @cached_property
    @airflow_errors()
    def client(self) -> ApiClient:
        """The authenticated conversation."""
        profile = self.api.profile
        if isinstance(profile.credentials, FixedCredentials):
            door.mask(profile.credentials.header)
        return self._client(profile, broker())

    def _client(self, profile: Profile, tokens: Broker) -> ApiClient:
        return ApiClient(
            replace(profile, max_response_bytes=read_config().max_response_bytes),
            make_authorizer(tokens, profile.credentials),
            session_class=HookSession,
            cooldowns=tokens.cooldowns,
        )

    def get_conn(self) -> requests.Session:
        """Return a ``requests.Session`` that authenticates itself, for any library that takes one.

        It sends credentials to the connection's own origins only, and has time-outs.
        """
        return self.client.session

    @airflow_errors()
    def request(self, method: str, path: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """Make one request; its response has been checked and read.

        :param method: the HTTP method
        :param path: below the connection's address, or the whole address of one of its origins
        :param options: see :class:`RequestOptions`
        :raises FinauthError: the API refuses, or cannot be reached
        """
        return self.client.request(method, path, **read_options(options))

    @airflow_errors()
    def request_json(self, method: str, path: str, **options: Unpack[RequestOptions]) -> Any:
        """Make one request and decode its response: JSON with exact numbers, else a string; None if it is
        empty.

        :param method: the HTTP method
        :param path: below the connection's address, or the whole address of one of its origins
        :param options: see :class:`RequestOptions`
        :raises FinauthError: the API refuses, or cannot be reached
        """
        return self.client.request_json(method, path, **read_options(options))

    @property
    def _credentials(self) -> Credentials:
        credentials = self.api.profile.credentials
        if isinstance(credentials, FixedCredentials):
            raise ConfigurationError(
                f"Connection '{self.conn_id}' authenticates with a fixed key, so there is no token.",
                conn_id=self.conn_id,
            )
        return credentials

    @airflow_errors()
    def get_token(self) -> TokenSet:
        """Return the token set in use, obtained or refreshed if need be. Its repr shows nothing.

        :raises ConfigurationError: the connection authenticates with a fixed key
        """
        return broker().token(self._credentials)

    @airflow_errors()
    def refresh_token(self, *, valid_for: float = math.inf) -> Renewed:
        """Return a token set that may be used for so many seconds more, obtained or refreshed if need be.

        :param valid_for: seconds; infinity for a new one in any case
        :raises ConfigurationError: the connection authenticates with a fixed key
        """
        tokens, credentials = broker(), self._credentials
        before = None
        # Without a store non-interactive grants go on, and what stood there is not known.
        with suppress(StoreUnavailableError):
            before = tokens.stored(credentials)
        renewed = tokens.renew(credentials, at_least=valid_for)
        stood = before is not None and before.access_token == renewed.access_token
        return Renewed(renewed, is_new=not stood)

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection: one token and one cheap read, with nothing kept.

        What a person has authorised is not spent on a test: its refresh token may be good for one use only.
        """
        try:
            return True, try_connection(self.api, self._client)
        except FinauthError as error:
            return False, str(error)
