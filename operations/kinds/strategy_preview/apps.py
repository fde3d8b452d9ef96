from django.apps import AppConfig


class StrategyPreviewConfig(AppConfig):
    name = "operations.kinds.strategy_preview"

    def ready(self) -> None:
        from operations.kinds.strategy_preview.kind import StrategyPreview
        from operations.registered_kinds import register

        register(StrategyPreview())
