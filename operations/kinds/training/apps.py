from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "operations.kinds.training"

    def ready(self) -> None:
        from operations.kinds.training.kind import Training
        from operations.registered_kinds import register

        register(Training())
