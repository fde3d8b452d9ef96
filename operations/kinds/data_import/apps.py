from django.apps import AppConfig


class DataImportConfig(AppConfig):
    name = "operations.kinds.data_import"

    def ready(self) -> None:
        from operations.kind import register
        from operations.kinds.data_import.kind import DataImport

        register(DataImport())
