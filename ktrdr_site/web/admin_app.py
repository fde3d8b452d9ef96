from django.contrib.admin.apps import AdminConfig


class AdministrationConfig(AdminConfig):
    default_site = "ktrdr_site.web.admin_site.Administration"
