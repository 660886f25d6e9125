"""The table of connections, and what is made of it, held against Airflow's own rules."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from airflow_provider_finauth.connections import CONNECTION_TYPES, Kind
from airflow_provider_finauth.get_provider_info import get_provider_info

TYPES = list(CONNECTION_TYPES.values())


def hides(name: str) -> bool:
    """Ask the Airflow that is installed whether it redacts a field of this name."""
    try:
        from airflow.sdk._shared.secrets_masker import should_hide_value_for_key
    except ImportError:
        from airflow.utils.log.secrets_masker import should_hide_value_for_key
    return should_hide_value_for_key(name)


@pytest.mark.parametrize(
    ("name", "is_secret"),
    sorted({(field.name, field.kind.is_secret) for item in TYPES for field in item.extras}),
)
def test_a_secret_is_redacted_by_its_name_and_nothing_else_is(name: str, is_secret: bool) -> None:
    assert hides(name) is is_secret


@pytest.mark.parametrize("item", TYPES, ids=lambda item: item.name)
def test_names_and_hooks(item) -> None:
    assert item.name.isalnum(), "an underscore in a type is no valid URI scheme"
    module, _, name = item.hook_class.rpartition(".")
    hook = getattr(import_module(module), name)
    assert hook.conn_type == item.name
    assert hook.hook_name == item.title
    assert hook.conn_name_attr == f"{item.name}_conn_id"
    assert hook.default_conn_name == item.default_conn_id
    assert hook().conn_id == item.default_conn_id
    # Airflow 2.11 ignores form methods that a hook inherits.
    assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= set(vars(hook))


@pytest.mark.parametrize("item", TYPES, ids=lambda item: item.name)
def test_fields_are_declared_once(item) -> None:
    names = [field.name for field in item]
    assert len(names) == len(set(names))
    for field in item:
        assert field.label
        assert field.default is None or not field.kind.is_secret
        assert not field.choices or field.default in (None, *field.choices)


def test_provider_info_is_plain_data() -> None:
    info = get_provider_info()
    assert json.loads(json.dumps(info)) == info


@pytest.mark.parametrize(
    "form", get_provider_info()["connection-types"], ids=lambda form: form["connection-type"]
)
def test_forms_require_nothing_and_hide_secrets(form) -> None:
    item = CONNECTION_TYPES[form["connection-type"]]
    assert list(form["conn-fields"]) == [field.name for field in item.extras]
    for name, described in form["conn-fields"].items():
        schema = described["schema"]
        # The form cannot be saved while a field is empty whose type does not admit null.
        assert "null" in schema["type"]
        if item[name].kind is Kind.SECRET:
            assert schema["format"] == "password"
    # Where every field has a section, Airflow 3.2's form shows none of them.
    assert any("section" not in described["schema"] for described in form["conn-fields"].values())


@pytest.mark.parametrize("item", TYPES, ids=lambda item: item.name)
def test_forms_of_airflow_2_have_the_same_fields(item) -> None:
    pytest.importorskip("flask_appbuilder", reason="Airflow 3 builds its forms without it")
    from flask_appbuilder.fieldwidgets import BS3TextAreaFieldWidget
    from wtforms import BooleanField, IntegerField, PasswordField, StringField

    module, _, name = item.hook_class.rpartition(".")
    hook = getattr(import_module(module), name)
    widgets = hook.get_connection_form_widgets()
    assert list(widgets) == [field.name for field in item.extras]
    for field in item.extras:
        widget = widgets[field.name]
        # Any other kind, a drop-down say, removes the whole connection type from the form.
        assert widget.field_class in (BooleanField, IntegerField, PasswordField, StringField)
        if field.kind.is_secret and widget.field_class is not PasswordField:
            assert isinstance(widget.kwargs["widget"], BS3TextAreaFieldWidget)
    behaviour = hook.get_ui_field_behaviour()
    assert behaviour["hidden_fields"] == ["schema", "port"]
    assert set(behaviour["relabeling"]) == {field.name for field in item if not field.is_extra}
