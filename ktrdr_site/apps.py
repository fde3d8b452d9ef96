from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SiteConfig(AppConfig):
    name = "ktrdr_site"
    verbose_name = "Site"

    def ready(self) -> None:
        from ktrdr_site import plain_pickles
        from ktrdr_site.accounts.groups import create_groups

        plain_pickles.install()
        # This app is installed last, so the permissions of all apps exist by then.
        post_migrate.connect(create_groups, sender=self)
