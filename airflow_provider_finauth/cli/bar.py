"""A bar that shows how far a pull is."""

from __future__ import annotations

from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_provider_finauth.client.progress import Progress


class Bar:
    """The bar of one pull, shown as long as its ``with`` block is open.

    :param console: where
    :param name: of what is pulled
    """

    def __init__(self, console: Console, name: str) -> None:
        self._display = Display(
            TextColumn("{task.description}", markup=False),
            BarColumn(20),
            TextColumn("{task.fields[told]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            # It may be a pipe that the records go through.
            redirect_stdout=False,
        )
        self._told = "0 records"
        # Without a total the bar swings.
        self._task = self._display.add_task(name, total=None, told=self._told)

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._display.stop()

    def tell(self, progress: Progress) -> None:
        """Show how far it is."""
        of = f" of {progress.total:,}" if progress.total is not None else ""
        self._told = f"{progress.records:,}{of} records, {progress.rate:,.0f}/s"
        left = f", {timedelta(seconds=round(progress.left))} left" if progress.left is not None else ""
        self._display.update(
            self._task, completed=progress.records, total=progress.total, told=self._told + left
        )

    def finish(self) -> None:
        """Show that it is over, with however many records."""
        self._display.update(self._task, completed=1, total=1, told=self._told)
