"""Tells a person, and the script that keeps drafts, that the input of a form was accepted."""

from django.contrib import messages

from dashboard.views.decorators import PageRequest


def confirm_submission(request: PageRequest, message: str) -> None:
    """Show a message on the next page; its script then deletes the drafts that were submitted."""
    messages.success(request, message, extra_tags="submitted")
