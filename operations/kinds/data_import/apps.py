from django.apps import AppConfig


class DataImportConfig(AppConfig):
    name = "operations.kinds.data_import"

    def ready(self) -> None:
        from operations.kinds.data_import.kind import DataImport
        from operations.registered_kinds import register

        register(DataImport())
