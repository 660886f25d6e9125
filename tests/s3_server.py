"""An S3 server for tests: moto's, in a process of its own on a free loopback port.

``s3_bucket`` gives each test a bucket of its own and an Airflow connection ``lake``, so that
``s3://lake@{bucket}/{key}`` is an address there. A test that stops the server starts one of its own with
:func:`running_s3`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.servers import free_port, wait_until

KEY = "AKIAFINAUTHTESTS0001"
SECRET = "made-up-secret-access-key-of-the-tests"
_ATTEMPTS = 5


class S3Server:
    """A running server.

    :param folder: for its output
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "s3.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, empty."""
        for _ in range(_ATTEMPTS):
            self.port = free_port()
            with self._log.open("wb") as log:
                self._process = process = subprocess.Popen(
                    [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "MOTO_PORT": str(self.port)},
                )
            wait_until(
                lambda p=process: p.poll() is not None or self._answers(), what="the S3 server's start"
            )
            # Where it has ended, another process was given the same free port.
            if process.poll() is None:
                return
        raise AssertionError(f"moto's server does not start: {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    @cached_property
    def client(self) -> Any:
        """A client of AWS's own library, to look at the server from outside."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="eu-north-1",
        )

    def connection(self, *, key: str = KEY, secret: str = SECRET, patient: bool = True) -> str:
        """Give the Airflow connection that leads here, as an environment variable holds it.

        :param patient: let the client try again as often as it does by default
        """
        extra: dict[str, Any] = {"endpoint_url": self.endpoint, "region_name": "eu-north-1"}
        if not patient:
            extra["config_kwargs"] = {"retries": {"max_attempts": 0}}
        return json.dumps({"conn_type": "aws", "login": key, "password": secret, "extra": extra})

    def new_bucket(self, conn_id: str = "lake") -> S3Bucket:
        name = f"finauth-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
        return S3Bucket(self, name, conn_id)

    @contextmanager
    def knowing_nobody(self) -> Iterator[None]:
        """Let the server refuse every key for the length of the block."""
        self._check_keys_after("0")
        try:
            yield
        finally:
            self._check_keys_after("inf")

    def _check_keys_after(self, requests_: str) -> None:
        requests.post(f"{self.endpoint}/moto-api/reset-auth", data=requests_, timeout=10).raise_for_status()

    def _answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.endpoint}/moto-api/data.json", timeout=5).ok
        return False


class S3Bucket:
    """A bucket, looked at from outside.

    :param server: where it is
    :param name: its name
    :param conn_id: the Airflow connection by which tests write to it
    """

    def __init__(self, server: S3Server, name: str, conn_id: str) -> None:
        self.server = server
        self.name = name
        self.conn_id = conn_id

    def address(self, key: str) -> str:
        """Give an object's address for ``output``."""
        return f"s3://{self.conn_id}@{self.name}/{key}"

    def objects(self) -> list[str]:
        """Name what is there."""
        listed = self.server.client.list_objects_v2(Bucket=self.name)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def read(self, key: str) -> bytes:
        content: bytes = self.server.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def put(self, key: str, content: bytes = b"x") -> None:
        self.server.client.put_object(Bucket=self.name, Key=key, Body=content)

    def uploads(self) -> list[str]:
        """Name the objects whose upload has begun and not ended."""
        listed = self.server.client.list_multipart_uploads(Bucket=self.name)
        return [entry["Key"] for entry in listed.get("Uploads", [])]

    def staged(self, key: str) -> int:
        """Count the bytes uploaded for objects of a name that are not there yet."""
        size = 0
        for upload in self.server.client.list_multipart_uploads(Bucket=self.name).get("Uploads", []):
            if upload["Key"] == key:
                parts = self.server.client.list_parts(Bucket=self.name, Key=key, UploadId=upload["UploadId"])
                size += sum(part["Size"] for part in parts.get("Parts", []))
        return size


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """Run a server for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="finauth-s3-") as folder:
        server = S3Server(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The session's S3 server, for tests that do not disturb it."""
    with running_s3() as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Bucket:
    """A bucket of the test's own, which the Airflow connection ``lake`` leads to."""
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", s3_server.connection())
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return s3_server.new_bucket()
