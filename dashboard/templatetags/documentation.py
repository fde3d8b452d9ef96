"""Links to the documentation."""

from django import template
from django.template.context import RequestContext

from dashboard.documentation.menu import document_of
from dashboard.documentation.rendering import page_address

register = template.Library()


@register.simple_tag
def document_address(name: str) -> str:
    return page_address(name)


@register.simple_tag(takes_context=True)
def help_address(context: RequestContext) -> str:
    """Return the address of the document that explains the current page."""
    match = getattr(context.get("request"), "resolver_match", None)
    return page_address(document_of(match and match.url_name))
