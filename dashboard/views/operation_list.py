from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render

from dashboard.pages.operation_list import PAGE_SIZE, filtered, ordered, tabs
from dashboard.pages.operation_rows import describe
from dashboard.views.request import PageRequest, page
from registry.models import Capability

ORDER_NAMES = [
    ("", "newest first"),
    ("created", "oldest first"),
    ("type", "by type"),
    ("worker", "by worker"),
    ("-completed", "ended last"),
]
FILTERS = ("search", "operation_type", "worker_id", "status", "active")


@page
def operations(request: PageRequest) -> HttpResponse:
    found, errors = filtered(request.GET)
    pages = Paginator(ordered(found, request.GET.get("order", "")), PAGE_SIZE)
    shown = pages.get_page(request.GET.get("page"))
    shown.object_list = describe(shown.object_list)
    types = Capability.objects.order_by("operation_type").values_list("operation_type", flat=True).distinct()
    return render(
        request,
        "operations/list.html",
        {
            "page": shown,
            "tabs": tabs(request.GET),
            "types": types,
            "orders": ORDER_NAMES,
            "errors": errors,
            "filtered": any(request.GET.get(name) for name in FILTERS),
        },
    )
