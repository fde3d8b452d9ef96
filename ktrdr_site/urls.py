from django.contrib import admin
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
    path("admin/", admin.site.urls),
    path("", include(api)),
    path("api/v1/", include(api)),
]
