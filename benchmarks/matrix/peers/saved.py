"""Where programs save tokens whose library only tells of them: a JSON file, as documentations show."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.matrix.peers.base import Setup


def load_token(setup: Setup) -> Any:
    """Read what was saved, if processes share it."""
    file = setup.folder / "saved.json"
    return json.loads(file.read_text()) if setup.shared and file.exists() else None


def save_token(setup: Setup, token: Any) -> None:
    """Save a token, if processes share it."""
    if setup.shared:
        temporary = setup.folder / f"saved.{os.getpid()}"
        temporary.write_text(json.dumps(token))
        temporary.replace(setup.folder / "saved.json")
