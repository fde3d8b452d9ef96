from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "operations"

    def ready(self) -> None:
        from operations.recovery import OperationsOfWorkers
        from registry import operations_port

        operations_port.install(OperationsOfWorkers())
