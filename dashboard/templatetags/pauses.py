"""The banner of a pause."""

from typing import Any

from django.template import Library

from operations import dispatch_pauses

register = Library()


@register.inclusion_tag("includes/dispatch_pause.html", takes_context=True)
def dispatch_pause(context: dict[str, Any]) -> dict[str, Any]:
    """Show the pause that is in force, with a button for those who may end it."""
    return {
        "pause": dispatch_pauses.current(),
        "refused": context.get("refused"),
        "csrf_token": context.get("csrf_token"),
    }
