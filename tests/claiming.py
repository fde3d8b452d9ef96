"""Claims one operation, as a dispatcher does in a round of its own."""

from operations import attempts
from operations.actors import Actor
from operations.dispatching import claims
from operations.dispatching.claims import Claim
from operations.dispatching.planning import Planner


def claim_next(actor: Actor) -> Claim | None:
    return next(iter(claims.claim_some(Planner().make_plan(), actor, at_most=1)), None)


def start_next(actor: Actor) -> Claim:
    """Claim an operation, which its worker accepts."""
    claim = claim_next(actor)
    assert claim is not None
    assert attempts.accept(claim.operation_id, claim.attempt, actor)
    return claim
