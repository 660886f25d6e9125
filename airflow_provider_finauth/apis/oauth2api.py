"""Any other API that uses OAuth 2.0 (RFC 6749), a key, or HTTP Basic: all by the connection's fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_finauth.apis import profiles
from airflow_provider_finauth.apis.base import Api
from airflow_provider_finauth.auth.authorize import AuthorizationFlow
from airflow_provider_finauth.auth.credentials import Credentials, FixedCredentials, RequestStyle
from airflow_provider_finauth.auth.grants import basic_header
from airflow_provider_finauth.client.profile import Profile
from airflow_provider_finauth.secret import Secret
from airflow_provider_finauth.transport.origins import origin_of

if TYPE_CHECKING:
    from airflow_provider_finauth.client.client import ApiClient
    from airflow_provider_finauth.settings import Settings

# Headers that carry credentials do not belong among the public ones, where nothing is masked.
_CREDENTIAL_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "ocp-apim-subscription-key"}
)
_CREDENTIAL_WORDS = ("api-key", "apikey", "token", "secret", "password", "credential")


class OAuth2Api(Api):
    """What a connection of type ``oauth2api`` makes of an API.

    :param settings: the connection
    :raises ConfigurationError: names the connection's field that is to be corrected
    """

    def __init__(self, settings: Settings) -> None:
        base = profiles.address(settings, "host")
        transport = profiles.transport(settings, with_certificate=True)
        self._settings = settings
        self.profile = Profile(
            api="oauth2api",
            conn_id=settings.conn_id,
            base_url=base,
            credentials=_credentials(settings, transport),
            headers=_public_headers(settings),
            secret_headers=settings.secret_mapping("secret_headers"),
            origins=frozenset({origin_of(base)}),
            **profiles.conversation(settings, transport),
        )

    def probe(self, client: ApiClient) -> None:
        """Read the API's address itself; that there is nothing to read shows that it answers."""
        client.request("GET", "/", accept_status=(400, 404, 405))

    def authorization_flow(self, redirect_uri: str) -> AuthorizationFlow:
        """Begin what a person has to consent to.

        :param redirect_uri: as registered with the application
        :raises ConfigurationError: the connection's grant is another one
        """
        credentials = self.profile.credentials
        if isinstance(credentials, FixedCredentials) or credentials.grant != "authorization_code":
            raise self._settings.error("grant", "is not authorization_code, so nobody has to authorise it")
        return AuthorizationFlow(
            authorize_endpoint=profiles.address(self._settings, "authorize_endpoint"),
            credentials=credentials,
            redirect_uri=redirect_uri,
            pkce=self._settings.flag("pkce"),
            state=True,
            send_redirect_uri=True,
            parameters={},
            metadata_url=None,
        )


def _credentials(settings: Settings, transport: Any) -> Credentials | FixedCredentials:
    grant = settings.text("grant")
    if grant == "basic":
        return FixedCredentials(
            settings.conn_id, basic_header(settings.text("login"), settings.secret("password"))
        )
    if grant == "api_key":
        key = settings.optional_secret("password")
        if key is None and "secret_headers" not in settings:
            raise settings.error("password", "is empty, and there are no secret headers either")
        return FixedCredentials(settings.conn_id, Secret(f"Bearer {key.reveal()}" if key else ""))
    return Credentials(
        conn_id=settings.conn_id,
        api="oauth2api",
        grant=grant,  # type: ignore[arg-type]  # the field's choices are its values
        token_endpoint=profiles.address(settings, "oauth_endpoint"),
        client_id=settings.text("login"),
        # A public client has none (RFC 6749 section 2.1); client credentials are for confidential ones only.
        client_secret=(
            settings.secret("password")
            if grant == "client_credentials"
            else settings.optional_secret("password")
        ),
        scope=settings.optional("scope"),
        username=settings.text("username") if grant == "password" else None,
        password=settings.secret("user_password") if grant == "password" else None,
        refresh_token=settings.optional_secret("refresh_token"),
        uses_refresh_token=grant == "password",
        # The grant `password` has no person's consent to lose: it logs in again if a refresh is refused.
        rotates=settings.flag("rotates") if grant == "authorization_code" else True,
        refresh_leeway=(settings.number("refresh_leeway") or 0.0) if grant == "authorization_code" else 0.0,
        style=RequestStyle(
            body="json" if settings.text("body_encoding") == "json" else "form",
            client_auth="basic" if settings.text("client_auth") == "basic" else "body",
            headers={"Accept": "application/json"},
        ),
        parameters=settings.mapping("oauth_parameters"),
        default_lifetime=settings.integer("default_lifetime"),
        transport=transport,
        reauthorize=f"Run `finauth authorize {settings.conn_id}`: a person has to give consent again.",
    )


def _public_headers(settings: Settings) -> dict[str, str]:
    headers = settings.mapping("api_headers")
    wrong = next(filter(_is_credential, headers), None)
    if wrong is not None:
        del headers  # no traceback from here on shows its value
        raise settings.error(
            "api_headers", f"holds the header '{wrong}', which belongs into 'secret_headers'"
        )
    return headers


def _is_credential(name: str) -> bool:
    lower = name.lower().replace("_", "-")
    return lower in _CREDENTIAL_HEADERS or any(word in lower for word in _CREDENTIAL_WORDS)
