"""A pull that was cut off goes on after its last complete file, and ends as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_finauth.client.paging.base import Pull, Request
from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.keyset import Keyset
from airflow_provider_finauth.client.paging.limit_offset import LimitOffset
from airflow_provider_finauth.client.paging.next_link import NextLink
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.relay import Relay
from airflow_provider_finauth.client.paging.single import Single
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.client.paging.tally import Tally
from airflow_provider_finauth.client.paging.walk import walk_pages
from airflow_provider_finauth.pulls.records import Records, Source
from airflow_provider_finauth.runtime import landing, read_records
from airflow_provider_finauth.runtime.resuming import Resuming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_finauth.client.paging.base import PagingStyle

COUNT = 31
ROWS = [{"id": number, "time": f"2026-10-{number // 3 + 1:02d}"} for number in range(COUNT)]


class Cut(BaseException):
    """The task is over, here and now."""


class Api:
    """A list, in any style of paging; ends the task at one request."""

    def __init__(self, *, cut_at: int | None = None) -> None:
        self.cut_at = cut_at
        self.requests = 0

    def __call__(self, request: Request) -> Any:
        if self.requests == self.cut_at:
            raise Cut
        self.requests += 1
        params = request.params or {}
        if "from" in params:
            rows = [row for row in ROWS if str(row["time"]) >= params["from"]][:7]
            return {"data": rows}
        start = int(params.get("offset") or params.get("cursor") or int(params.get("pageIndex", 0)) * 4)
        end = min(start + 4, COUNT)
        return {"data": ROWS[start:end], "count": COUNT, "cursor": str(end) if end < COUNT else None}


STYLES: dict[str, PagingStyle] = {
    "index": PageIndex(size=4),
    "offset": LimitOffset(size=4),
    "skip": SkipTop(skip_param="offset", top_param="limit", size=4),
    "cursor": Cursor(),
    "keyset": Keyset(param="from", field="time", size=7, start="2026-10-01"),
}


class Store:
    """A task state store: what goes in comes out as JSON leaves it."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.values: dict[str, str] = json.loads(file.read_text()) if file and file.exists() else {}
        self.history: list[Any] = []
        self.broken: set[str] = set()

    def get(self, key: str) -> Any:
        self._use("get")
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any) -> None:
        self._use("set")
        text = json.dumps(value)
        assert len(text) <= 64 * 1024
        self.history.append(json.loads(text))
        self.values[key] = text
        self._save()

    def delete(self, key: str) -> None:
        self._use("delete")
        self.values.pop(key, None)
        self._save()

    def _use(self, what: str) -> None:
        if what in self.broken:
            raise RuntimeError("the API server is down")

    def _save(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps(self.values))


def described(style: PagingStyle, **changes: Any) -> Pull:
    members: dict[str, Any] = {
        "request": Request(path="/things"),
        "paging": style,
        "records_path": "data",
        "key": "id",
        "total": "count",
        "resource": "things",
    }
    return Pull(**{**members, **changes})


def land(
    api: Callable[[Request], Any],
    target: Path,
    store: Store | None,
    *,
    style: PagingStyle = STYLES["offset"],
    pull: Pull | None = None,
    context: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    source = Source(
        api="demo",
        conn_id="demo_default",
        base_url="https://api.example",
        describe=lambda since, until: pull or described(style),
        walk=lambda pull, **how: walk_pages(pull, api, **how),
        read=unread,
    )
    instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)
    return Records(source).write_to(
        str(target),
        **{
            "max_records_per_file": 9,
            "resumable": True,
            "context": context or {"ti": instance, "task_state_store": store},
            **options,
        },
    )


def unread(pull: Pull) -> Iterator[Any]:
    raise AssertionError("nothing else is read")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        # A process that was killed leaves its half of a file under another name.
        if not path.name.endswith(("manifest.json", ".part"))
    }


def told(manifest: dict[str, Any], folder: Path) -> Any:
    """Give a manifest without what no two pulls have in common."""
    text = json.dumps({**manifest, "pulled_at": ""}).replace(str(folder), "")
    return json.loads(text)


@pytest.fixture
def undisturbed(tmp_path: Path) -> Callable[..., tuple[dict[str, bytes], Any]]:
    def run(**options: Any) -> tuple[dict[str, bytes], Any]:
        folder = tmp_path / "undisturbed"
        folder.mkdir(exist_ok=True)
        manifest = land(Api(), folder / "x.jsonl", Store(), **options)
        return contents(folder), told(manifest, folder)

    return run


class TestGoingOn:
    @pytest.mark.parametrize("style", STYLES)
    def test_wherever_it_was_cut_off(self, style: str, tmp_path: Path, undisturbed: Any) -> None:
        expected = undisturbed(style=STYLES[style])
        whole = Api()
        land(whole, tmp_path / "count.jsonl", Store(), style=STYLES[style])
        for cut_at in range(whole.requests):
            folder = tmp_path / f"cut-{cut_at}"
            folder.mkdir()
            store, first = Store(), Api(cut_at=cut_at)
            with pytest.raises(Cut):
                land(first, folder / "x.jsonl", store, style=STYLES[style])
            assert not (folder / "x.manifest.json").exists()
            noted = bool(store.history)
            assert noted or cut_at < 3
            second = Api()
            manifest = land(second, folder / "x.jsonl", store, style=STYLES[style])

            assert (contents(folder), told(manifest, folder)) == expected
            assert store.values == {}
            assert [record["id"] for record in read_records(manifest)] == list(range(COUNT))
            if noted:
                # A file takes two pages, and one is kept back.
                assert first.requests + second.requests <= whole.requests + 4
                assert second.requests < whole.requests

    @pytest.mark.parametrize("style", ["index", "keyset"])
    def test_cut_off_again_and_again(self, style: str, tmp_path: Path, undisturbed: Any) -> None:
        expected = undisturbed(style=STYLES[style])
        folder = tmp_path / "often"
        folder.mkdir()
        store = Store()
        for _ in range(20):
            try:
                manifest = land(Api(cut_at=4), folder / "x.jsonl", store, style=STYLES[style])
                break
            except Cut:
                continue

        assert (contents(folder), told(manifest, folder)) == expected
        assert store.values == {}

    @pytest.mark.parametrize("ending", ["jsonl.gz", "csv", "parquet"])
    def test_in_other_formats(self, ending: str, tmp_path: Path) -> None:
        for name, api in (("plain", Api()), ("cut", Api(cut_at=6))):
            (tmp_path / name).mkdir()
            store = Store()
            if name == "cut":
                with pytest.raises(Cut):
                    land(api, tmp_path / name / f"x.{ending}", store)
                assert store.values
            land(Api(), tmp_path / name / f"x.{ending}", store)

        assert contents(tmp_path / "plain") == contents(tmp_path / "cut")
        assert len(contents(tmp_path / "cut")) == 4

    def test_a_killed_process(self, tmp_path: Path, undisturbed: Any) -> None:
        expected = undisturbed()
        folder = tmp_path / "killed"
        folder.mkdir()
        kept = tmp_path / "store.json"
        script = """
import os, signal, sys
from pathlib import Path
from tests.runtime import test_resuming as t

class Killing(t.Api):
    def __call__(self, request):
        if self.requests == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(request)

t.land(Killing(), Path(sys.argv[1]), t.Store(Path(sys.argv[2])))
"""
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder / "x.jsonl"), str(kept)],
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        store, api = Store(kept), Api()
        assert store.values
        manifest = land(api, folder / "x.jsonl", store)

        assert (contents(folder), told(manifest, folder)) == expected
        assert api.requests < 8

    def test_a_note_is_small_and_holds_no_link(self, tmp_path: Path) -> None:
        store = Store()
        land(Api(), tmp_path / "x.jsonl", store)
        assert len(store.history) == 4
        assert "http" not in json.dumps(store.history)

    def test_nothing_is_left_to_do(self, tmp_path: Path, undisturbed: Any, monkeypatch: Any) -> None:
        from airflow_provider_finauth.runtime.places import Place

        expected = undisturbed()
        folder = tmp_path / "end"
        folder.mkdir()
        store = Store()
        with monkeypatch.context() as patch:

            def cut(self: Place, manifest: Any) -> None:
                raise Cut

            patch.setattr(Place, "finish", cut)
            with pytest.raises(Cut):
                land(Api(), folder / "x.jsonl", store)
        api = Api()
        manifest = land(api, folder / "x.jsonl", store)

        assert api.requests == 0
        assert (contents(folder), told(manifest, folder)) == expected


class TestBeginningAnew:
    def cut_off(self, folder: Path, **options: Any) -> Store:
        store = Store()
        with pytest.raises(Cut):
            land(Api(cut_at=6), folder / "x.jsonl", store, **options)
        assert len(store.values) == 1
        return store

    def whole(self, folder: Path, store: Store, undisturbed: Any, **options: Any) -> None:
        api = Api()
        manifest = land(api, folder / "x.jsonl", store, **options)
        # Every page, from the first on.
        assert api.requests == 8
        assert (contents(folder), told(manifest, folder)) == undisturbed(**options)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "pull").mkdir()
        return tmp_path / "pull"

    @pytest.mark.parametrize(
        "damage",
        [
            "no object",
            {},
            {"files": [[1]]},
            [],
            7,
            *[{key: None} for key in ("files", "tally", "written")],
            {"attempt": "another"},
            {"place": 5},
            {"tally": {"strange": 1}},
        ],
        ids=str,
    )
    def test_a_damaged_note(self, damage: Any, folder: Path, undisturbed: Any) -> None:
        store = self.cut_off(folder)
        [key] = store.values
        value = {**json.loads(store.values[key]), **damage} if isinstance(damage, dict) and damage else damage
        store.values[key] = json.dumps(value)
        self.whole(folder, store, undisturbed)

    @pytest.mark.parametrize("call", ["get", "set", "delete"])
    def test_a_store_that_is_down_hinders_nothing(
        self, call: str, folder: Path, undisturbed: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = self.cut_off(folder)
        store.values = {} if call != "get" else store.values
        store.broken = {call}
        self.whole(folder, store, undisturbed)
        assert "RuntimeError" in caplog.text
        assert "API server" not in caplog.text

    def test_a_file_that_is_gone(self, folder: Path, undisturbed: Any) -> None:
        store = self.cut_off(folder)
        (folder / "x-00001.jsonl").unlink()
        self.whole(folder, store, undisturbed)

    def test_another_pull_has_used_the_place(self, folder: Path, undisturbed: Any) -> None:
        store = self.cut_off(folder)
        self.cut_off(folder)
        self.whole(folder, store, undisturbed)

    def test_a_pull_that_ended_is_not_gone_on_with(self, folder: Path, undisturbed: Any) -> None:
        store = self.cut_off(folder)
        left = dict(store.values)
        land(Api(), folder / "x.jsonl", store)
        # As if deleting the note had failed, and the task were cleared.
        store.values = left
        self.whole(folder, store, undisturbed)

    @pytest.mark.parametrize(
        "other",
        [
            {"max_records_per_file": 5},
            {"pull": described(STYLES["offset"], request=Request(path="/things", params={"since": "2026"}))},
            {"pull": described(LimitOffset(size=4), key=None)},
            {"on_mismatch": "warn"},
        ],
        ids=["files of another size", "another window", "another reading", "another rule"],
    )
    def test_of_another_pull(self, other: dict[str, Any], folder: Path, undisturbed: Any) -> None:
        store = self.cut_off(folder)
        self.whole(folder, store, undisturbed, **other)

    def test_a_promise_that_was_not_kept_is_looked_at_again(self, folder: Path) -> None:
        def short(request: Request) -> Any:
            return {**Api()(request), "count": COUNT + 1}

        store = Store()
        for _ in range(3):
            with pytest.raises(Exception, match="promised 32 records and gave 31"):
                land(short, folder / "x.jsonl", store)
        assert not (folder / "x.manifest.json").exists()


class TestRefused:
    @pytest.mark.parametrize(
        ("style", "said"),
        [
            (NextLink(), "gives a link to the next one"),
            (Single(), "comes in one answer"),
            (Relay(connection_path="things", verify=True), "walked twice"),
        ],
    )
    def test_a_paging_without_a_place_to_go_on_from(
        self, style: PagingStyle, said: str, tmp_path: Path
    ) -> None:
        api = Api()
        with pytest.raises(Exception, match=said):
            land(api, tmp_path / "x.jsonl", Store(), style=style)
        assert api.requests == 0
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"max_records_per_file": None}, "set 'max_records_per_file'"),
            ({"partition_by": "time"}, "together with 'partition_by'"),
            ({"context": {"ti": None}}, "needs the task state store of Airflow 3.3"),
            ({"resumable": "perhaps"}, "resumable"),
        ],
    )
    def test_without_what_it_needs(self, options: dict[str, Any], said: str, tmp_path: Path) -> None:
        api = Api()
        with pytest.raises(Exception, match=said):
            land(api, tmp_path / "x.jsonl", Store(), **options)
        assert api.requests == 0

    def test_outside_of_a_task(self, tmp_path: Path) -> None:
        with pytest.raises(Exception, match="within a task only"):
            Records(
                Source(
                    api="demo",
                    conn_id="c",
                    base_url="https://api.example",
                    describe=lambda since, until: described(STYLES["offset"]),
                    walk=lambda pull, **how: walk_pages(pull, Api(), **how),
                    read=unread,
                )
            ).write_to(str(tmp_path / "x.jsonl"), max_records_per_file=5, resumable=True)


class TestSeveralPulls:
    """Lists that are walked one after the other: spans of time, for example."""

    LENGTHS = (1, 9, 3, 0, 30, 2)

    class Lists:
        def __init__(self, cut_at: int | None = None) -> None:
            self.cut_at = cut_at
            self.requests = 0

        def __call__(self, request: Request) -> Any:
            if self.requests == self.cut_at:
                raise Cut
            self.requests += 1
            assert request.params is not None
            number, start = int(request.path[1:]), request.params["offset"]
            rows = [{"id": 100 * number + each} for each in range(TestSeveralPulls.LENGTHS[number])]
            return {"data": rows[start : start + 4], "count": len(rows)}

    def run(self, lists: Lists, target: Path, store: Store) -> dict[str, Any]:
        tally = Tally()

        class Mark:
            """Stands for an incremental pull, which notices something in each page."""

            seen = 0

            def keep(self, pages: Any) -> Any:
                for page in pages:
                    self.seen += len(page.rows)
                    yield page

            def counts(self) -> dict[str, Any]:
                return {"seen": self.seen}

            def go_on(self, counts: Any) -> None:
                self.seen = counts["seen"]

        mark: Any = Mark()
        resuming = Resuming(
            store,
            identity={},
            pulls=(
                described(LimitOffset(size=4), request=Request(path=f"/{number}"))
                for number in range(len(self.LENGTHS))
            ),
            walk=lambda pull, **how: walk_pages(pull, lists, tally=tally, **how),
            tally=tally,
            mark=mark,
        )
        return landing.write_pages(
            mark.keep(resuming.pages()),
            destination=str(target),
            max_records_per_file=6,
            api="demo",
            resource="things",
            checks=lambda: {**tally.to_dict(), **mark.counts()},
            resuming=resuming,
            context={"ti": SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)},
        )

    def test_wherever_they_are_cut_off(self, tmp_path: Path) -> None:
        whole = self.Lists()
        (tmp_path / "whole").mkdir()
        manifest = self.run(whole, tmp_path / "whole" / "x.jsonl", Store())
        expected = contents(tmp_path / "whole"), told(manifest, tmp_path / "whole")
        assert manifest["records"] == manifest["checks"]["total"] == manifest["checks"]["seen"] == 45
        spared = 0
        for cut_at in range(whole.requests):
            folder = tmp_path / str(cut_at)
            folder.mkdir()
            store, again = Store(), self.Lists()
            with pytest.raises(Cut):
                self.run(self.Lists(cut_at), folder / "x.jsonl", store)
            manifest = self.run(again, folder / "x.jsonl", store)
            assert (contents(folder), told(manifest, folder)) == expected
            spared += whole.requests - again.requests
        assert spared > whole.requests
