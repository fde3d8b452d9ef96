from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SiteConfig(AppConfig):
    name = "ktrdr_site"
    verbose_name = "Site"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in

        from ktrdr_site import plain_pickles
        from ktrdr_site.accounts import session_limits
        from ktrdr_site.accounts.groups import create_groups

        plain_pickles.install()
        user_logged_in.connect(session_limits.start_session)
        # This app is installed last, so the permissions of all apps exist by then.
        post_migrate.connect(create_groups, sender=self)
