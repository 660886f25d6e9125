from __future__ import annotations

from tests.hooks.conftest import connections, masked, tokens_in_memory

__all__ = ["connections", "masked", "tokens_in_memory"]
