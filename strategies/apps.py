from django.apps import AppConfig


class StrategiesConfig(AppConfig):
    name = "strategies"

    def ready(self) -> None:
        from operations.deletion import Cleanup, cleanups
        from strategies.saving import overdue_strategies, remove_deleted

        cleanups["removed_strategies"] = Cleanup(remove_deleted, lambda: overdue_strategies().count())
