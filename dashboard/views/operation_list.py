from django.http import HttpResponse
from django.shortcuts import render

from dashboard.pages.operation_list import (
    PAGE_SIZE,
    BoundedPaginator,
    filter_operations,
    sort_operations,
    tabs,
)
from dashboard.pages.operation_rows import describe
from dashboard.views.decorators import PageRequest, page
from dashboard.views.undo import take_deleted
from registry.models import Capability

ORDER_NAMES = [
    ("", "Newest first"),
    ("created", "Oldest first"),
    ("type", "By type"),
    ("worker", "By worker"),
    ("-completed", "Recently ended first"),
]
FILTERS = ("search", "operation_type", "worker_id", "created_by", "status", "active", "tag", "archived")


@page
def operations(request: PageRequest) -> HttpResponse:
    """One page of the operations that match the filters in the query string."""
    matching, errors = filter_operations(request.GET)
    pages = BoundedPaginator(sort_operations(matching, request.GET.get("order", "")), PAGE_SIZE)
    page = pages.get_page(request.GET.get("page"))
    page.object_list = describe(page.object_list)
    types = Capability.objects.order_by("operation_type").values_list("operation_type", flat=True).distinct()
    return render(
        request,
        "operations/list.html",
        {
            "page": page,
            "tabs": tabs(request.GET),
            "types": types,
            "orders": ORDER_NAMES,
            "errors": errors,
            "deleted": take_deleted(request),
            "is_filtered": any(request.GET.get(name) for name in FILTERS),
        },
    )
