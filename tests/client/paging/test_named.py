from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_finauth.client.paging.cursor import Cursor
from airflow_provider_finauth.client.paging.named import pull_of
from airflow_provider_finauth.client.paging.next_link import NextLink
from airflow_provider_finauth.client.paging.page_index import PageIndex
from airflow_provider_finauth.client.paging.skip_top import SkipTop
from airflow_provider_finauth.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("paging", "options", "style"),
    [
        (
            "page_index",
            {"size": "50", "first": 1.0, "offset": "yes"},
            PageIndex(size=50, first=1, offset=True),
        ),
        ("page_index", '{"size": 50}', PageIndex(size=50)),
        ("page_index", {"page_count": "pages"}, PageIndex(page_count="pages")),
        ("cursor", {"size_param": ""}, Cursor(size_param=None)),
        ("skip_top", {"cap": None, "size": 9}, SkipTop(cap=None, size=9)),
        ("skip_top", {"cap": " 100 "}, SkipTop(cap=100)),
        ("next_link", {"keys": "next"}, NextLink(keys=("next",))),
        ("next_link", {"keys": "next, links.next"}, NextLink(keys=("next", "links.next"))),
        ("next_link", {"keys": ["next", "links.next"]}, NextLink(keys=("next", "links.next"))),
        (" cursor ", None, Cursor()),
        ("cursor", "", Cursor()),
    ],
)
def test_options_are_read_by_their_kind(paging: str, options: Any, style: object) -> None:
    assert pull_of("/items", paging=paging, paging_options=options).paging == style


@pytest.mark.parametrize(
    ("paging", "options", "says"),
    [
        ("page_index", {"size": "many"}, "'size' must be a whole number of at least 0, not 'many'"),
        ("page_index", {"offset": "perhaps"}, "'offset' must be true or false, not 'perhaps'"),
        ("page_index", {"index_param": 1}, "'index_param' must be a string"),
        ("cursor", {"size_param": 1}, "'size_param' must be a string"),
        ("next_link", {"keys": {"next": 1}}, "'keys' must be a comma-separated string"),
        ("cursor", {"colour": "red"}, "does not fit the paging 'cursor', which takes cursor_path, param"),
        ("keyset", {}, "does not fit the paging 'keyset'"),
        ("cursor", "size=1", "must be a JSON object, not a str"),
        ("cursor", ["size"], "must be a JSON object"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(paging: str, options: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        pull_of("/items", paging=paging, paging_options=options)
    assert caught.value.field == "paging_options"


@pytest.mark.parametrize("paging", ["guessing", "", None, ["cursor"]])
def test_a_style_that_is_not_known_is_told_the_known_ones(paging: Any) -> None:
    with pytest.raises(ConfigurationError, match="'paging' must be one of none, page_index") as caught:
        pull_of("/items", paging=paging)
    assert caught.value.field == "paging"
