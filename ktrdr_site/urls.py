"""Pages under `/dashboard/`; the API at the root and, the same, under `/api/v1/`."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path
from django.urls.resolvers import RoutePattern
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from dashboard.views.secrets import delete_secret, save_secret, secrets_page
from dashboard.views.sharing import shared_result
from dashboard.views.tokens import create_token, revoke_token, tokens
from ktrdr_site.accounts.password_page import change_password
from ktrdr_site.accounts.sign_in import SignIn
from ktrdr_site.observability import monitoring
from ktrdr_site.second_factor.sign_in_step import sign_in_code
from ktrdr_site.web.schema_view import SchemaView

VERSIONED = "api/v1/"
api: list[URLPattern | URLResolver] = [
    path("health", monitoring.health),
    path("readyz", monitoring.readyz),
    path("metrics", monitoring.metrics),
    path("schema/", SchemaView.as_view(), name="schema"),
    # Most requests are about operations: the others come after them.
    path("", include("operations.api.urls")),
    path("", include("registry.api.workers")),
    path("", include("registry.api.enrolment")),
    path("", include("registry.api.secrets")),
    path("", include("strategies.api.urls")),
    path("", include("studies.api.urls")),
    path("", include("ktrdr_site.accounts.api_tokens")),
]


class RootPattern(RoutePattern):
    """Does not match below /api/v1/: such a request would be compared with all routes twice."""

    def match(self, path: str) -> Any:
        return None if path.startswith(VERSIONED) else super().match(path)


handler404 = "ktrdr_site.web.error_pages.not_found"
handler500 = "ktrdr_site.web.error_pages.server_error"
pages: list[URLPattern | URLResolver] = [
    path("login", SignIn.as_view(), name="login"),
    path("login/code", sign_in_code, name="sign_in_code"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("password", change_password, name="change_password"),
    path("", include("ktrdr_site.accounts.users_page")),
    path("", include("ktrdr_site.second_factor.own_page")),
    path("tokens", tokens, name="tokens"),
    path("tokens/create", create_token, name="create_token"),
    path("tokens/<str:kind>/<int:token_id>/revoke", revoke_token, name="revoke_token"),
    path("secrets", secrets_page, name="secrets"),
    path("secrets/save", save_secret, name="save_secret"),
    path("secrets/<str:name>/delete", delete_secret, name="delete_secret"),
    path("", include("dashboard.urls")),
]
urlpatterns = [
    path("", RedirectView.as_view(url="/dashboard/", http_method_names=["get", "head"])),
    path("admin/", admin.site.urls),
    path("dashboard/", include(pages)),
    path("shared/<slug:token>", shared_result, name="shared_result"),
    path("docs/", include("dashboard.views.documentation")),
    path(
        "schema/browse",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="ktrdr_site/api_document.html"),
        name="api-document",
    ),
    URLResolver(RootPattern("", is_endpoint=False), api),
    path(VERSIONED, include(api)),
]
