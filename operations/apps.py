from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "operations"

    def ready(self) -> None:
        from operations.registry_adapter import RegistryAdapter
        from registry import operations_port

        operations_port.install(RegistryAdapter())
