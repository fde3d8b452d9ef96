"""The API's addresses of this room alone."""

from django.urls import include, path

urlpatterns = [path("", include("operations.api.urls")), path("api/v1/", include("operations.api.urls"))]
