from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "operations.kinds.training"

    def ready(self) -> None:
        from operations.kind import register
        from operations.kinds.training.kind import Training

        register(Training())
