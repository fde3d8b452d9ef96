"""The documentation: `/docs/`, its documents, their pictures, and a search over their sections."""

from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import render as render_template
from django.urls import path

from dashboard.documentation.menu import INDEX, folder, read_menu, titles
from dashboard.documentation.rendering import render
from dashboard.documentation.search import search
from dashboard.views.decorators import PageRequest, page

MAX_QUERY = 200


@page
def show_index(request: PageRequest) -> HttpResponse:
    """The index, or the sections that match `?search=`."""
    query = request.GET.get("search", "").strip()[:MAX_QUERY]
    if not query:
        return _render(request, INDEX)
    context = {"menu": read_menu(), "query": query, "results": search(query)}
    return render_template(request, "documentation/search.html", context)


@page
def show_document(request: PageRequest, document: str) -> HttpResponse:
    if document not in titles():
        raise Http404("Unknown document.")
    return _render(request, document)


def _render(request: PageRequest, name: str) -> HttpResponse:
    context = {"menu": read_menu(), "document": render(name)}
    return render_template(request, "documentation/document.html", context)


@page
def show_picture(request: PageRequest, picture: str) -> FileResponse:
    if picture not in {file.name for file in (folder() / "images").iterdir()}:
        raise Http404("Unknown picture.")
    return FileResponse((folder() / "images" / picture).open("rb"))


urlpatterns = [
    path("", show_index, name="documentation"),
    path("images/<str:picture>", show_picture, name="documentation_picture"),
    path("<slug:document>", show_document, name="document"),
]
