"""What pip and Airflow know of this package once it is installed."""

from __future__ import annotations

import importlib
import json
import re
import sys
from importlib import metadata, resources, util
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import airflow_provider_finauth
from airflow_provider_finauth.connections import CONNECTION_TYPES
from airflow_provider_finauth.get_provider_info import get_provider_info
from tests.airflow_harness import ROOT, AirflowHome, make_home

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

NAME = "airflow-provider-finauth"


@pytest.fixture(scope="module")
def distribution() -> metadata.Distribution:
    try:
        return metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        pytest.fail(f"{NAME} is not installed here: run `make test`, or `pip install -e .`")


def _requirement(distribution: metadata.Distribution, name: str) -> Requirement:
    requirements = [Requirement(line) for line in distribution.requires or []]
    return next(item for item in requirements if item.name == name)


def test_metadata(distribution: metadata.Distribution) -> None:
    assert distribution.version == airflow_provider_finauth.__version__
    assert distribution.metadata["Requires-Python"] == ">=3.11"
    assert distribution.metadata["License-Expression"] == "Apache-2.0"
    assert any(url.startswith("Documentation,") for url in distribution.metadata.get_all("Project-URL") or [])


def test_airflow_versions_that_cannot_take_threads_are_refused(distribution: metadata.Distribution) -> None:
    airflow = _requirement(distribution, "apache-airflow").specifier
    accepted = [v for v in ("2.10.5", "2.11.0", "2.11.2", "3.0.6", "3.1.8", "3.2.0", "3.3.2") if v in airflow]
    assert accepted == ["2.11.0", "2.11.2", "3.2.0", "3.3.2"]


def test_extras(distribution: metadata.Distribution) -> None:
    extras = set(distribution.metadata.get_all("Provides-Extra") or [])
    assert {"parquet", "redis", "sandbox", "sql", "zstd"} <= extras


def test_entry_points_load(distribution: metadata.Distribution) -> None:
    points = {(point.group, point.name): point.load() for point in distribution.entry_points}
    assert points["apache_airflow_provider", "provider_info"] is get_provider_info
    assert points["airflow.plugins", "finauth"].name == "finauth"
    assert callable(points["console_scripts", "finauth"])
    assert len(points) == 3


@pytest.mark.parametrize("file", ["airflow-2.11.txt", "airflow-3.txt"])
def test_constraints_are_pins_that_our_requirements_admit(
    file: str, distribution: metadata.Distribution
) -> None:
    lines = (ROOT / "constraints" / file).read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len(pins) > 100
    for pin in pins:
        assert not pin.url
        assert re.fullmatch(r"==[0-9][^*,]*", str(pin.specifier)), pin
        for text in distribution.requires or []:
            wanted = Requirement(text)
            if canonicalize_name(wanted.name) == canonicalize_name(pin.name):
                version = Version(str(pin.specifier).removeprefix("=="))
                assert wanted.specifier.contains(version), f"{pin} is not {wanted}"


def test_constraints_are_those_of_this_environment() -> None:
    airflow = metadata.version("apache-airflow")
    file = "airflow-2.11.txt" if airflow.startswith("2.") else "airflow-3.txt"
    assert f"apache-airflow=={airflow}" in (ROOT / "constraints" / file).read_text().splitlines()


def test_package_name_is_the_canonical_name(distribution: metadata.Distribution) -> None:
    # Airflow raises for another one, and no command that looks at providers works any more.
    name = get_provider_info()["package-name"]
    assert name == canonicalize_name(distribution.metadata["Name"]) == NAME


def test_provider_info_fits_airflows_schema() -> None:
    schema = json.loads((resources.files("airflow") / "provider_info.schema.json").read_text())
    info = get_provider_info()
    jsonschema.validate(info, schema)
    assert json.loads(json.dumps(info)) == info  # plain data only


def test_provider_info_names_modules_that_exist() -> None:
    info = get_provider_info()
    integrations = {item["integration-name"] for item in info["integrations"]}
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in info.get(kind, []):
            assert entry["integration-name"] in integrations
            for module in entry["python-modules"]:
                assert util.find_spec(module), module


@pytest.mark.parametrize(("kind", "suffix"), [("hooks", "Hook"), ("operators", "Operator")])
def test_provider_info_names_every_module(kind: str, suffix: str) -> None:
    listed = {module for entry in get_provider_info()[kind] for module in entry["python-modules"]}
    package = f"airflow_provider_finauth.{kind}"
    names = [f"{package}.{path.stem}" for path in (ROOT / "airflow_provider_finauth" / kind).glob("*.py")]
    public = {
        name
        for name in names
        for member in vars(importlib.import_module(name)).values()
        # What others are made of stands in no list.
        if getattr(member, "__module__", None) == name not in (f"{package}.base", f"{package}.graphql")
        and member.__name__.endswith(suffix)
    }
    assert public == listed


def test_every_connection_type_has_its_hook() -> None:
    entries = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}
    assert set(entries) == set(CONNECTION_TYPES)
    for conn_type, entry in entries.items():
        module, _, name = entry["hook-class-name"].rpartition(".")
        hook = getattr(importlib.import_module(module), name)
        assert hook.conn_type == conn_type
        assert hook.conn_name_attr == f"{conn_type}_conn_id"
        assert hook.default_conn_name == f"{conn_type}_default"
        assert hook.hook_name == entry["hook-name"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    home = make_home(tmp_path_factory.mktemp("airflow"))
    home.environment["COLUMNS"] = "500"  # wide, so that Airflow cuts nothing from its tables
    return home


@pytest.mark.airflow
class TestAirflowShowsUs:
    """Airflow's own commands, in processes and a home of their own."""

    def test_get(self, home: AirflowHome) -> None:
        version = airflow_provider_finauth.__version__
        assert _table(["providers", "get", NAME], home) == [{"Provider": NAME, "Version": version}]

    def test_get_in_full(self, home: AirflowHome) -> None:
        (info,) = _table(["providers", "get", NAME, "--full"], home)
        assert info["package-name"] == NAME

    def test_hooks(self, home: AirflowHome) -> None:
        ours = [row for row in _table(["providers", "hooks"], home) if row["package_name"] == NAME]
        assert {row["connection_type"]: row["class"] for row in ours} == {
            name: connection_type.hook_class for name, connection_type in CONNECTION_TYPES.items()
        }
        assert {row["conn_id_attribute_name"] for row in ours} == {f"{t}_conn_id" for t in CONNECTION_TYPES}

    def test_plugin(self, home: AirflowHome) -> None:
        plugins = _table(["plugins"], home)
        assert [row["name"] for row in plugins if "airflow_provider_finauth" in str(row)] == ["finauth"]

    def test_configuration(self, home: AirflowHome) -> None:
        run = _airflow(["config", "get-value", "finauth", "token_store"], home)
        assert run.stdout.split()[-1] == "variable"


def _airflow(arguments: Sequence[str], home: AirflowHome) -> subprocess.CompletedProcess[str]:
    run = home.airflow(*arguments)
    # The environment's own folder may be named after us, and a table of all hooks says many words.
    lines = (run.stdout + run.stderr).replace(sys.prefix, "").splitlines()
    trouble = re.compile(r"warn|error|exception|deprecat", re.IGNORECASE)
    warnings = [line for line in lines if "finauth" in line and trouble.search(line) and line[:2] != "[{"]
    assert warnings == []
    return run


def _table(arguments: Sequence[str], home: AirflowHome) -> list[dict[str, Any]]:
    output = _airflow([*arguments, "--output", "json"], home).stdout
    rows = json.loads(output.splitlines()[-1])
    assert isinstance(rows, list)
    return rows
