from django.apps import AppConfig


class StrategyPreviewConfig(AppConfig):
    name = "operations.kinds.strategy_preview"

    def ready(self) -> None:
        from operations.kind import register
        from operations.kinds.strategy_preview.kind import StrategyPreview

        register(StrategyPreview())
