"""Every field of every connection type, declared once.

The provider info (forms of Airflow 3.2 and newer), the form methods of the hooks (Airflow 2.11), the reader
with its error messages (``settings.py``) and the page of the documentation are made from
:data:`CONNECTION_TYPES`. It imports nothing that costs time: Airflow reads it in every process.

A secret's name contains a word that Airflow redacts by, and a public field's does not, since Airflow's API
and logs redact by name alone; a test holds every field to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

STANDARD_FIELDS = ("host", "login", "password")


class Kind(Enum):
    """What a field holds."""

    TEXT = "text"
    URL = "URL"
    SECRET = "secret"
    PEM = "PEM text"
    SECRET_PEM = "secret PEM text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "true or false"
    LIST = "list"
    MAPPING = "JSON object"
    SECRET_MAPPING = "secret JSON object"

    @property
    def is_secret(self) -> bool:
        """Whether the value is to be hidden."""
        return self in (Kind.SECRET, Kind.SECRET_PEM, Kind.SECRET_MAPPING)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a connection.

    :param name: ``host``, ``login``, ``password`` or the key in ``extra``
    :param label: what the form calls it
    :param help: one sentence for the form and the documentation
    :param required: whether a connection without it is refused when it is read
    :param choices: the values allowed
    :param sensitive: register the value with the masker although it is shown in forms
    """

    name: str
    label: str
    help: str = ""
    kind: Kind = Kind.TEXT
    required: bool = False
    default: str | int | float | bool | None = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    section: str | None = None
    sensitive: bool = False

    @property
    def is_extra(self) -> bool:
        """Whether the field lives in the connection's ``extra``."""
        return self.name not in STANDARD_FIELDS


@dataclass(frozen=True, kw_only=True)
class ConnectionType:
    """A connection type: its name in Airflow, its hook and its fields."""

    name: str
    title: str
    hook_class: str
    fields: tuple[Field, ...]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> Field:
        return next(item for item in self.fields if item.name == name)

    @property
    def extras(self) -> tuple[Field, ...]:
        """The fields that live in ``extra``."""
        return tuple(item for item in self.fields if item.is_extra)

    @property
    def default_conn_id(self) -> str:
        """The connection that a hook reads if it is given none."""
        return f"{self.name}_default"


_CONVERSATION = (
    Field(
        name="request_timeout",
        label="Request time-out",
        help="Seconds to wait for an answer.",
        kind=Kind.NUMBER,
        default=60.0,
        minimum=1,
        maximum=3600,
        section="Conversation",
    ),
    Field(
        name="requests_per_second",
        label="Requests per second",
        help="The pace of one process. Empty means no limit.",
        kind=Kind.NUMBER,
        minimum=0.001,
        section="Conversation",
    ),
    Field(
        name="max_concurrency",
        label="Requests at a time",
        help="The most requests that one process has under way.",
        kind=Kind.INTEGER,
        default=8,
        minimum=1,
        maximum=256,
        section="Conversation",
    ),
    Field(
        name="default_lifetime",
        label="Default token lifetime",
        help="Seconds that a token is taken to live if the server does not say.",
        kind=Kind.INTEGER,
        default=3600,
        minimum=10,
        maximum=30 * 24 * 3600,
        section="Conversation",
    ),
    Field(
        name="tls_verify",
        label="Check the server's certificate",
        help="Leave it on, other than for a test server of your own.",
        kind=Kind.FLAG,
        default=True,
        section="Conversation",
    ),
)

_OAUTH_ENDPOINT = Field(
    name="oauth_endpoint",
    label="OAuth endpoint",
    help="Where tokens are asked for, if not at the usual address.",
    kind=Kind.URL,
    section="Addresses",
)
_AUTHORIZE_ENDPOINT = Field(
    name="authorize_endpoint",
    label="Authorize endpoint",
    help="Where a person gives consent, if not at the usual address.",
    kind=Kind.URL,
    section="Addresses",
)
_REDIRECT_URI = Field(
    name="redirect_uri",
    label="Redirect URI",
    # A text, since vendors compare it to the letter with what was registered, a slash at its end included.
    help=(
        "Where the consent page sends the person back to, as registered with the application. "
        "Empty means http://127.0.0.1:8790/callback, where `finauth authorize` listens."
    ),
    section="Authorisation",
)
_REFRESH_TOKEN = Field(
    name="refresh_token",
    label="Refresh token",
    help="Only to bring one along from elsewhere; `finauth authorize` needs none here.",
    kind=Kind.SECRET,
    section="Authorisation",
)
_ROTATES = Field(
    name="rotates",
    label="Refresh tokens rotate",
    help=(
        "For the grant `authorization_code`: whether the server gives another refresh token with each "
        "renewal and takes none twice. Say false only if its documentation does: a renewal that fails is "
        "then repeated at once."
    ),
    kind=Kind.FLAG,
    default=True,
    section="Authorisation",
)
_REFRESH_LEEWAY = Field(
    name="refresh_leeway",
    label="Seconds to repeat a renewal",
    help=(
        "For the grant `authorization_code`: for how many seconds the server takes a replaced refresh "
        "token once more, as its documentation says. Within them a renewal whose answer was lost is repeated "
        "at once."
    ),
    kind=Kind.NUMBER,
    default=0,
    minimum=0,
    maximum=3600,
    section="Authorisation",
)
_CA_FILE = Field(
    name="tls_ca_file",
    label="Authorities' file",
    help="PEM file of the authorities to trust instead of the usual ones.",
    section="Client certificate",
)
_CLIENT_CERTIFICATE = (
    Field(
        name="tls_certificate",
        label="Client certificate",
        help="PEM text, with its chain.",
        kind=Kind.PEM,
        section="Client certificate",
    ),
    Field(
        name="private_key",
        label="Private key",
        help="PEM text of the certificate's key.",
        kind=Kind.SECRET_PEM,
        section="Client certificate",
    ),
    Field(
        name="private_key_passphrase",
        label="Private key's passphrase",
        help="If the key is encrypted.",
        kind=Kind.SECRET,
        section="Client certificate",
    ),
    Field(
        name="tls_certificate_file",
        label="Client certificate's file",
        help="Path of a PEM file on the workers, instead of the text.",
        section="Client certificate",
    ),
    Field(
        name="tls_key_file",
        label="Private key's file",
        help="Path of a PEM file on the workers, instead of the text.",
        section="Client certificate",
    ),
    _CA_FILE,
)


def _host(label: str = "API address", **changes: Any) -> Field:
    return replace(Field(name="host", label=label, kind=Kind.URL, help="Begins with https://."), **changes)


def _login(label: str = "Client ID", **changes: Any) -> Field:
    return replace(Field(name="login", label=label, required=True), **changes)


def _password(label: str = "Client secret", **changes: Any) -> Field:
    return replace(Field(name="password", label=label, kind=Kind.SECRET, required=True), **changes)


_HOOKS = "airflow_provider_finauth.hooks"

_TALENOM = ConnectionType(
    name="talenom",
    title="Talenom",
    hook_class=f"{_HOOKS}.talenom.TalenomHook",
    fields=(
        _host(default="https://apim.talenom.fi"),
        _login(help="From Talenom's integration support."),
        _password(),
        Field(
            name="subscription_api_key",
            label="Subscription key",
            help="Sent as Ocp-Apim-Subscription-Key with every call.",
            kind=Kind.SECRET,
            required=True,
        ),
        Field(
            name="scope",
            label="Scope",
            help="As given by Talenom with the client credentials.",
            required=True,
        ),
        Field(
            name="region",
            label="Region",
            help="Of the ledger and sales APIs; the organisation API has none.",
            default="fi",
        ),
        Field(
            name="page_numbering",
            label="Page numbering",
            help="Whether pageIndex counts pages or rows; Talenom's own documents say both.",
            default="index",
            choices=("index", "offset"),
            section="Conversation",
        ),
        replace(_OAUTH_ENDPOINT, default="https://id.talenom.com/api/b2b/oauth2/v1.0/token"),
        *_CONVERSATION,
    ),
)

_OPCORPORATE = ConnectionType(
    name="opcorporate",
    title="OP Corporate Banking",
    hook_class=f"{_HOOKS}.opcorporate.OPCorporateHook",
    fields=(
        _host(help="Empty means the environment's."),
        _login(help="From OP API Admin; masked in logs like a secret.", sensitive=True),
        _password(),
        Field(
            name="environment",
            label="Environment",
            default="production",
            choices=("production", "sandbox"),
        ),
        Field(
            name="transactions_version",
            label="Transactions version",
            help="Of the account transactions API: v2 (150 rows a page) or v3 (1000).",
            default="v2",
            choices=("v2", "v3"),
            section="Conversation",
        ),
        *_CLIENT_CERTIFICATE,
        _OAUTH_ENDPOINT,
        *_CONVERSATION,
    ),
)

_LANDAX = ConnectionType(
    name="landax",
    title="Landax",
    hook_class=f"{_HOOKS}.landax.LandaxHook",
    fields=(
        _host("Address", required=True, help="https://company.landax.no"),
        _login("User name", help="A pure API user."),
        _password("Password"),
        Field(
            name="client_id",
            label="Application key",
            help="Landax's applikasjonsnøkkel, from the control panel under API.",
        ),
        Field(
            name="client_secret",
            label="Client key",
            help="Landax's klientnøkkel.",
            kind=Kind.SECRET,
        ),
        Field(
            name="api_version",
            label="API version",
            help="The number in /api/v32/; each tenant has its own.",
            required=True,
        ),
        Field(
            name="auth_method",
            label="Authentication",
            help="Basic has to be opened by Landax.",
            default="oauth2",
            choices=("oauth2", "basic"),
        ),
        Field(
            name="protocol",
            label="Protocol",
            help="/api, or the tenant's OData under /odata.",
            default="api",
            choices=("api", "odata"),
            section="Conversation",
        ),
        Field(
            name="query_names",
            label="Names of query options",
            help="$top and $skip, top and skip, or from and count; auto goes by the version.",
            default="auto",
            choices=("auto", "dollar", "plain", "from_count"),
            section="Conversation",
        ),
        *_CONVERSATION,
    ),
)

_TRADEVEST = ConnectionType(
    name="tradevest",
    title="Tradevest",
    hook_class=f"{_HOOKS}.tradevest.TradevestHook",
    fields=(
        _host(help="Empty means the environment's."),
        _login(),
        _password(),
        Field(
            name="environment",
            label="Environment",
            default="production",
            choices=("production", "test"),
        ),
        Field(
            name="requestor_id",
            label="Requestor-ID",
            help="The natural person's id that commands are sent for.",
        ),
        Field(
            name="scope",
            label="Scope",
            help="tradevest.api for the /connect/token endpoint; empty for /oauth2/token.",
        ),
        _OAUTH_ENDPOINT,
        *_CONVERSATION,
    ),
)

_LUCA = ConnectionType(
    name="luca",
    title="Luca Regnskap",
    hook_class=f"{_HOOKS}.luca.LucaHook",
    fields=(
        _host(default="https://go.lucaregnskap.no"),
        _login(required=False, help="For OAuth."),
        _password("API key or client secret"),
        Field(
            name="auth_method",
            label="Authentication",
            help="A personal API key, the OAuth of Luca's help page, or its OAuth 2.1.",
            default="api_key",
            choices=("api_key", "oauth2", "oauth21"),
        ),
        Field(
            name="company_ids",
            label="Companies",
            help="Ids or organisation numbers, comma-separated; empty means all that the consent covers.",
            kind=Kind.LIST,
        ),
        Field(
            name="organisation_number",
            label="Organisation number",
            help="Lets the person give consent for this company only.",
            kind=Kind.INTEGER,
            minimum=1,
            section="Authorisation",
        ),
        Field(
            name="locale",
            label="Language of the consent page",
            choices=("nb", "en"),
            section="Authorisation",
        ),
        Field(
            name="scope",
            label="Scope",
            help="Empty means accounting (oauth2) or accounting.read (oauth21).",
            section="Authorisation",
        ),
        _REDIRECT_URI,
        _REFRESH_TOKEN,
        _OAUTH_ENDPOINT,
        _AUTHORIZE_ENDPOINT,
        *_CONVERSATION,
    ),
)

_OAUTH2API = ConnectionType(
    name="oauth2api",
    title="OAuth 2.0 API",
    hook_class=f"{_HOOKS}.oauth2api.OAuth2ApiHook",
    fields=(
        _host(required=True),
        _login(required=False, help="User name for the grant `basic`."),
        _password("Client secret", required=False, help="The key for `api_key`, the password for `basic`."),
        Field(
            name="grant",
            label="Grant",
            default="client_credentials",
            choices=("client_credentials", "password", "authorization_code", "api_key", "basic"),
        ),
        Field(name="scope", label="Scope"),
        Field(
            name="body_encoding",
            label="Body of the token request",
            default="form",
            choices=("form", "json"),
            section="OAuth",
        ),
        Field(
            name="client_auth",
            label="Client authentication",
            help="Id and secret in the body, or as HTTP Basic.",
            default="body",
            choices=("body", "basic"),
            section="OAuth",
        ),
        Field(
            name="oauth_parameters",
            label="Further parameters",
            help='Sent with each token request, for example {"audience": "…"}.',
            kind=Kind.MAPPING,
            section="OAuth",
        ),
        Field(
            name="pkce",
            label="PKCE",
            help="RFC 7636, for the grant `authorization_code`.",
            kind=Kind.FLAG,
            default=True,
            section="OAuth",
        ),
        Field(name="username", label="User name", help="For the grant `password`.", section="OAuth"),
        Field(
            name="user_password",
            label="User's password",
            help="For the grant `password`.",
            kind=Kind.SECRET,
            section="OAuth",
        ),
        _REDIRECT_URI,
        _REFRESH_TOKEN,
        _ROTATES,
        _REFRESH_LEEWAY,
        Field(
            name="api_headers",
            label="Headers",
            help='Sent with every call, for example {"Accept-Language": "fi"}. No credentials here.',
            kind=Kind.MAPPING,
            section="Headers",
        ),
        Field(
            name="secret_headers",
            label="Secret headers",
            help='Sent with every call and masked, for example {"X-Api-Key": "…"}.',
            kind=Kind.SECRET_MAPPING,
            section="Headers",
        ),
        replace(_OAUTH_ENDPOINT, help="Where tokens are asked for."),
        replace(_AUTHORIZE_ENDPOINT, help="Where a person gives consent."),
        *_CLIENT_CERTIFICATE,
        *_CONVERSATION,
    ),
)

CONNECTION_TYPES: dict[str, ConnectionType] = {
    item.name: item for item in (_TALENOM, _OPCORPORATE, _LANDAX, _TRADEVEST, _LUCA, _OAUTH2API)
}
