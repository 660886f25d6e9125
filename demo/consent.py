"""The person who gives consent to Luca, once: the demo plays them, the sandbox agrees at once."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from urllib.request import ProxyHandler, build_opener

from demo.airflow_home import DemoError

PATIENCE = 180


def give_consent(conn_id: str, environment: Mapping[str, str]) -> None:
    """Run ``finauth authorize`` and open the page that it names, as a browser would.

    :param environment: the Airflow to do it in
    :raises DemoError: it came to nothing
    """
    command = [sys.executable, "-c", "from airflow_provider_finauth.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "authorize", conn_id],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    printed = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            printed += line
            page = re.search(r"https?://\S+/authorize\?\S+", line)
            if page:
                build_opener(ProxyHandler({})).open(page[0], timeout=30).close()
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    if process.returncode:
        raise DemoError(f"`finauth authorize {conn_id}` did not succeed:\n{printed}")
