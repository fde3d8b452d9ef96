"""Pages under `/dashboard/`; the API at the root and, the same, under `/api/v1/`."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from ktrdr_site import monitoring

api: list[URLPattern | URLResolver] = [
    path("health", monitoring.health),
    path("readyz", monitoring.readyz),
    path("metrics", monitoring.metrics),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("", include("registry.api")),
    path("", include("operations.api")),
]

urlpatterns = [
    path("", RedirectView.as_view(url="/dashboard/")),
    path("admin/", admin.site.urls),
    path("dashboard/login", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("dashboard/logout", LogoutView.as_view(), name="logout"),
    path("dashboard/", include("operations.urls")),
    path(
        "schema/browse",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="ktrdr_site/api_document.html"),
        name="api-document",
    ),
    path("", include(api)),
    path("api/v1/", include(api)),
]
