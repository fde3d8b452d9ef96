"""The message that a form was accepted, for people and for the script that keeps drafts."""

from django.contrib import messages

from dashboard.views.decorators import PageRequest


def confirm_submission(request: PageRequest, message: str) -> None:
    """Show a message on the next page; its script then deletes the drafts that were submitted."""
    messages.success(request, message, extra_tags="submitted")
