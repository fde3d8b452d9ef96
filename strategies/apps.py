from django.apps import AppConfig


class StrategiesConfig(AppConfig):
    name = "strategies"

    def ready(self) -> None:
        from operations.deletion import cleanups
        from strategies.saving import remove_deleted

        cleanups["removed_strategies"] = remove_deleted
