"""What is measured, and how it is driven."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

Style = Literal["index", "cursor", "links"]

TOKEN = "benchmark-" + "x" * 800


@dataclass(frozen=True)
class Order:
    """One pull.

    :param address: of the server
    :param pages: how many
    :param records: on each
    :param latency: milliseconds that an answer takes
    :param connect: milliseconds that a connection's first answer takes beyond that
    :param style: how the next page is asked for
    :param folder: for what is written
    """

    address: str
    pages: int
    records: int
    latency: int
    connect: int
    style: Style
    folder: str

    @property
    def path(self) -> str:
        """The list's path, without a leading slash."""
        return f"{self.pages}/{self.latency}/{self.connect}/{self.style}"

    @property
    def url(self) -> str:
        """The list's address."""
        return f"{self.address}/{self.path}"

    @property
    def file(self) -> Path:
        """What is written, without a suffix."""
        return Path(self.folder) / "records"


class Subject(ABC):
    """One way to pull."""

    key: ClassVar[str]
    title: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]]
    # The environment below .venv that it is installed in.
    environment: ClassVar[str] = "bench"
    # How the page says what was used.
    used: ClassVar[str]
    styles: ClassVar[frozenset[Style]] = frozenset({"index", "cursor"})

    @abstractmethod
    def load(self) -> None:
        """Import the library."""

    def open(self, address: str) -> None:  # noqa: B027 - most need nothing
        """Prepare what a deployment has prepared: connections, say."""

    @abstractmethod
    def pull(self, order: Order) -> int:
        """Pull, and give how many records came."""

    def caller(self, address: str) -> Callable[[], Any]:
        """Open a client, and give what makes one small call with it."""
        raise NotImplementedError(self.key)
