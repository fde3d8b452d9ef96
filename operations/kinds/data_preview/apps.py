from django.apps import AppConfig


class DataPreviewConfig(AppConfig):
    name = "operations.kinds.data_preview"

    def ready(self) -> None:
        from operations.kinds.data_preview.kind import DataPreview
        from operations.registered_kinds import register

        register(DataPreview())
