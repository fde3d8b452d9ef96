from django.apps import AppConfig


class StudiesConfig(AppConfig):
    name = "studies"

    def ready(self) -> None:
        from operations.management.submitting import submittables
        from operations.registered_kinds import register
        from studies.kinds import KINDS
        from studies.management.submitting import SubmittableStudy

        for kind in KINDS:
            register(kind)
        submittables[SubmittableStudy.name] = SubmittableStudy()
