from django.apps import AppConfig


class BacktestingConfig(AppConfig):
    name = "operations.kinds.backtesting"

    def ready(self) -> None:
        from operations.kind import register
        from operations.kinds.backtesting.kind import Backtesting

        register(Backtesting())
