from django.apps import AppConfig


class BacktestingConfig(AppConfig):
    name = "operations.kinds.backtesting"

    def ready(self) -> None:
        from operations.kinds.backtesting.kind import Backtesting
        from operations.registered_kinds import register

        register(Backtesting())
