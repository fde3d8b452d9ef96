"""The documentation is readable on the site: each document, its links and its sections."""

import re

import pytest
from django.test import Client

from dashboard.documentation.menu import DOCUMENT_OF_VIEW, document_of, titles
from dashboard.documentation.rendering import address_of, render
from dashboard.documentation.search import search
from dashboard.urls import urlpatterns

ATTRIBUTE = re.compile(r'(?:href|src)="([^"]*)"')


def own_links(name: str) -> set[str]:
    return {link for link in ATTRIBUTE.findall(render(name).html) if not link.startswith(("http", "mailto:"))}


@pytest.mark.parametrize("name", sorted(titles()))
def test_links_of_a_document_lead_to_pages_and_sections_of_the_site(name: str) -> None:
    broken = []
    for link in sorted(own_links(name)):
        path, _, anchor = link.partition("#")
        document = path.removeprefix("/docs/") or ("README" if path else name)
        if path.startswith("/docs/images/") or (not path.startswith("/docs/") and path):
            continue
        if document not in titles() or (anchor and f'id="{anchor}"' not in render(document).html):
            broken.append(link)
    assert broken == []


def test_pictures_and_the_api_document_open(admin_client: Client) -> None:
    links = {link for name in titles() for link in own_links(name)}
    others = sorted(link for link in links if link.startswith(("/docs/images/", "/schema")))
    assert "/schema/browse" in others
    assert {link: admin_client.get(link).status_code for link in others} == dict.fromkeys(others, 200)


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("settings.md#people", "/docs/settings#people"),
        ("README.md", "/docs/"),
        ("#below", "#below"),
        ("https://example.org/a.md", "https://example.org/a.md"),
        ("../CONTRIBUTING.md", None),
        ("../examples/strategies/", None),
        ("../docs/settings.md", None),
        ("missing.md", None),
        ("images", None),
    ],
)
def test_a_link_leads_to_a_page_of_the_site_or_is_left_out(link: str, address: str | None) -> None:
    assert address_of(link) == address


@pytest.mark.parametrize(
    "path", ["/docs/missing", "/docs/settings.md", "/docs/images/missing.png", "/docs/images/..%2Fapi.md"]
)
def test_only_documents_and_their_pictures_are_served(admin_client: Client, path: str) -> None:
    assert admin_client.get(path).status_code == 404


def test_sections_are_found_by_their_words_with_titles_first() -> None:
    results = search("restore backup")
    assert results
    assert results[0].document == "Backup and restore"
    assert all("<mark>" in result.excerpt or "restore" in result.title.lower() for result in results)
    assert search("KTRDR_HEALTH_INTERVAL_S")[0].address.startswith("/docs/settings#")
    assert search("") == search("!!") == search("no-such-word-anywhere") == []


def test_a_query_is_shown_as_text(admin_client: Client) -> None:
    page = admin_client.get("/docs/", {"search": "<b>x</b> token"}).content.decode()
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page


def test_each_page_links_to_the_document_that_explains_it(admin_client: Client) -> None:
    names = {pattern.name for pattern in urlpatterns} | {"tokens", "users"}
    assert set(DOCUMENT_OF_VIEW) <= names
    assert set(DOCUMENT_OF_VIEW.values()) <= set(titles())
    assert document_of("something else") == "README"
    assert 'href="/docs/market-data"' in admin_client.get("/dashboard/market-data").content.decode()
