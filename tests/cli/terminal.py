"""A person at a terminal, with a browser beside it."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import requests

from airflow_provider_finauth.cli.app import app

# The last line before the command waits for the browser.
_WAITS = "with --paste.)\n"

Browser = Callable[[str], object]
Person = Callable[[str], str]


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    :param url: of the vendor's page, as it was shown
    """

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err

    @property
    def url(self) -> str:
        return shown_url(self.out)


def shown_url(out: str) -> str:
    """Find the vendor's page in what was printed; it has a line to itself."""
    found = re.search(r"^http\S+$", out, re.MULTILINE)
    assert found, out
    return found.group()


class _Screen(io.StringIO):
    """Starts the browser once the command waits for it."""

    def __init__(self, browser: Browser | None) -> None:
        super().__init__()
        self._browser = browser
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._browser is not None and self._thread is None and _WAITS in self.getvalue():
            self._thread = threading.Thread(target=self._browse)
            self._thread.start()
        return written

    def _browse(self) -> None:
        assert self._browser is not None
        try:
            self._browser(shown_url(self.getvalue()))
        except BaseException as error:
            self._failure = error

    def close_browser(self) -> None:
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure


class _Keyboard(io.StringIO):
    """Types what a person makes of the address shown, when it is asked for."""

    def __init__(self, screen: _Screen, errors: io.StringIO, person: Person | None) -> None:
        super().__init__()
        self._screen = screen
        self._errors = errors
        self._person = person

    def readline(self, *_: object) -> str:
        if self._person is None:
            return ""
        # What is typed shows on the same screen, and so does its end of line.
        self._errors.write("\n")
        return self._person(shown_url(self._screen.getvalue())) + "\n"


class Terminal:
    """Runs the command in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(
        self, *arguments: str, browser: Browser | None = None, person: Person | None = None
    ) -> Ended:
        """Run ``finauth``.

        :param browser: is given the vendor's page when the command waits for it
        :param person: is given the vendor's page, and gives what is pasted
        """
        screen, errors = _Screen(browser), io.StringIO()
        with self._monkeypatch.context() as patch:
            patch.setattr("sys.stdout", screen)
            patch.setattr("sys.stderr", errors)
            patch.setattr("sys.stdin", _Keyboard(screen, errors, person))
            with pytest.raises(SystemExit) as ended:
                app(list(arguments), prog_name="finauth")
        screen.close_browser()
        return Ended(int(ended.value.code or 0), screen.getvalue(), errors.getvalue())


def get(url: str, *, follow: bool = True, **headers: str) -> requests.Response:
    """Open an address as a browser does."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, allow_redirects=follow, headers=headers, timeout=30)


def consent(url: str) -> str:
    """Consent on the vendor's page, and give the address that it leads to, without going there."""
    answer = get(url, follow=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def approve(url: str) -> None:
    """Consent on the vendor's page, and go where it leads."""
    answer = get(url)
    assert answer.status_code == 200, answer.text
    assert "You may close this window" in answer.text
