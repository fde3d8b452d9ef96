from django.apps import AppConfig


class DataPreviewConfig(AppConfig):
    name = "operations.kinds.data_preview"

    def ready(self) -> None:
        from operations.kind import register
        from operations.kinds.data_preview.kind import DataPreview

        register(DataPreview())
