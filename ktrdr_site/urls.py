from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from ktrdr_site import monitoring

api = [
    path("health", monitoring.health),
    path("readyz", monitoring.readyz),
    path("metrics", monitoring.metrics),
]

urlpatterns = [
    path("", RedirectView.as_view(url="/dashboard/")),
    path("dashboard/login", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("dashboard/logout", LogoutView.as_view(), name="logout"),
    path("dashboard/", include("operations.urls")),
    path("admin/", admin.site.urls),
    path("", include(api)),
    path("api/v1/", include(api)),
]
