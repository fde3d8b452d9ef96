"""A state machine of Hypothesis whose database is empty again after each run."""

from django.db import transaction
from hypothesis.stateful import RuleBasedStateMachine


class RolledBackMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()

    def faults_stop(self) -> None:
        """Check what must hold at the end, when nothing fails any more."""
        raise NotImplementedError

    def teardown(self) -> None:
        try:
            self.faults_stop()
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
