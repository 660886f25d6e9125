"""How the matrix drives a library."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.matrix.server import API_KEY

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a program would have read from its configuration.

    :param folder: for what outlives the process, where the library offers such a thing
    :param grant: ``client_credentials`` or ``refresh_token``
    :param timeout: in seconds, for the token endpoint; the library's default if not given
    :param shared: whether processes share what the library offers for that
    :param leeway: seconds in which the server takes a spent refresh token once more
    :param static_token: a token for libraries that ask for none
    """

    token_url: str
    api_url: str
    foreign_url: str
    control_url: str
    folder: Path
    grant: str
    client_secret: str
    timeout: float | None = None
    shared: bool = False
    leeway: float = 0.0
    static_token: str | None = None
    key: str = API_KEY


@dataclass(frozen=True)
class Caller:
    """An open client.

    :param send: sends a request, given its method and path, and raises what the library raises
    :param parts: what a program would hold, to look at its repr
    """

    send: Any
    parts: tuple[Any, ...] = field(default=(), repr=False)

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def post(self, path: str) -> Any:
        return self.send("POST", path)


class Peer(ABC):
    """One library.

    ``does`` names what it does itself: ``mints`` keeps and renews tokens, ``early`` before their end,
    ``reads`` sends the token request and reads its answer, ``refreshes`` lives by a refresh token, ``calls``
    sends API requests, ``cache`` keeps tokens where other processes find them.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]]
    # Errors of these packages are the library's own.
    packages: ClassVar[tuple[str, ...]]
    does: ClassVar[frozenset[str]]
    # The environment below .venv that it is installed in.
    environment: ClassVar[str] = "matrix"
    # How the page says what was used.
    used: ClassVar[str]
    grant: ClassVar[str] = "client_credentials"
    # The seconds before its end in which a short-lived token is renewed.
    window: ClassVar[float] = 0.0
    # Whether it gets its refresh token by a login of its own.
    logs_in: ClassVar[bool] = False

    @abstractmethod
    def load(self) -> None:
        """Import the library, once for all probes."""

    def early(self, lifetime: float) -> float:
        """Give the seconds before its end in which a token of this lifetime is renewed."""
        return self.window

    @abstractmethod
    def open(self, setup: Setup) -> Caller:
        """Make a client."""
