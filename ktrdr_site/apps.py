from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "ktrdr_site"
    verbose_name = "Site"
