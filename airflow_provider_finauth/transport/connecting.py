"""Connections that note on an error that it came while they were made, thus before a request was sent."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool, PoolManager

_NOTE = "_finauth_connecting_to"

Peer = Literal["server", "proxy"]


def connecting_to(error: BaseException) -> Peer | None:
    """Look up what was being connected to when an error came; None if nothing was, or nobody has noted it.

    With a proxy that is the proxy, until the TLS handshake with the server behind it is done.
    """
    peer: Peer | None = getattr(error, _NOTE, None)
    return peer


def note_connecting(manager: PoolManager) -> None:
    """Let a manager's connections note on their errors that no request was sent."""
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _noting(pool) for scheme, pool in pools.items()}


@cache
def _noting(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    base: Any = pool.ConnectionCls

    def connect(self: Any) -> None:
        # Whatever a request is sent over, urllib3 makes it here: TCP, a proxy's tunnel, and TLS.
        try:
            base.connect(self)
        except Exception as error:
            setattr(error, _NOTE, "proxy" if self.proxy else "server")
            raise

    connection = type(base.__name__, (base,), {"connect": connect})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})
