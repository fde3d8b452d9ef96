"""Claims one operation, as a dispatcher does in a round of its own."""

from operations.actors import Actor
from operations.dispatching import claims
from operations.dispatching.claims import Claim
from operations.dispatching.planning import Planner


def claim_next(actor: Actor) -> Claim | None:
    return claims.claim_next(Planner().make_plan(), actor)
