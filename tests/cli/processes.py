"""The command in a process of its own, with and without a terminal."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PROGRAM = "import sys; sys.argv[0] = 'finauth'; from airflow_provider_finauth.cli import main; main()"
PATIENCE = 120.0


def command(*arguments: str) -> list[str]:
    """Give what starts ``finauth``, as the installed script would."""
    return [sys.executable, "-c", PROGRAM, *arguments]


@dataclass
class OnTerminal:
    """A process on a terminal of its own."""

    process: subprocess.Popen[bytes]
    master: int
    shown: str = ""

    def until(self, text: str) -> None:
        """Read until the terminal shows a text."""
        ends = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < ends, self.shown
            assert self._read(ends), f"it ended: {self.shown}"

    def type(self, text: str) -> None:
        """Type, as a person does."""
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Read to its end, and give the exit code."""
        ends = time.monotonic() + PATIENCE
        while self._read(ends):
            pass
        return self.process.wait(PATIENCE)

    def _read(self, ends: float) -> bool:
        if not select.select([self.master], [], [], max(0.0, ends - time.monotonic()))[0]:
            raise AssertionError(f"nothing more was shown: {self.shown}")
        try:
            read = os.read(self.master, 65536)
        except OSError:
            # How Linux tells that nobody holds the terminal's other side any more.
            return False
        self.shown += read.decode(errors="replace").replace("\r\n", "\n")
        return bool(read)


@contextlib.contextmanager
def on_terminal(
    *arguments: str, environment: Mapping[str, str], stdin: int | None = None, stdout: int | None = None
) -> Iterator[OnTerminal]:
    """Run ``finauth`` on a terminal.

    :param stdin: in place of the terminal
    :param stdout: in place of the terminal
    """
    master, slave = os.openpty()
    try:
        try:
            process = subprocess.Popen(
                command(*arguments),
                stdin=slave if stdin is None else stdin,
                stdout=slave if stdout is None else stdout,
                stderr=slave,
                env=dict(environment),
                start_new_session=True,
            )
        finally:
            os.close(slave)
        try:
            yield OnTerminal(process, master)
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(master)
