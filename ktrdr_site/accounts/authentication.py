"""Authentication of users at the API: `Authorization: Bearer ktp_...`."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q
from django.db.models.functions import Now
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from access import throttling
from access.client_address import client_address
from access.roles import limit_role
from ktrdr_site.models import TOKEN_PREFIX, ApiToken, token_digest

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LAST_USE_RESOLUTION = timedelta(minutes=1)


class TokenAuthentication(BaseAuthentication):
    """Authenticates API tokens. Other bearer tokens (of workers) are left to other classes."""

    def authenticate(self, request: Request) -> "tuple[User, ApiToken] | None":
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token.startswith(TOKEN_PREFIX):
            return None
        api_token = (
            ApiToken.objects.select_related("user")
            .filter(sha256=token_digest(token.strip()), revoked_at=None)
            .annotate(
                use_is_recent=Q(last_used_at__gt=Now() - LAST_USE_RESOLUTION),
                has_expired=Q(expires_at__lte=Now()),
            )
            .first()
        )
        if api_token is None:
            self._count_failure(request)
            raise AuthenticationFailed("This API token is unknown or revoked.")
        if api_token.has_expired:
            raise AuthenticationFailed("This API token has expired; create a new one.")
        if not api_token.user.is_active:
            raise AuthenticationFailed("The user of this API token is not active.")
        if not api_token.use_is_recent:
            # Once a minute is enough to find unused tokens, and saves a write per request.
            ApiToken.objects.filter(pk=api_token.pk).update(last_used_at=Now())
        limit_role(api_token.user, ApiToken.Scope(api_token.scope).role)
        return api_token.user, api_token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="KTRDR"'

    def _count_failure(self, request: Request) -> None:
        """Slow down requests with unknown tokens. A valid token is never slowed; 256 random bits cannot be guessed."""
        address = client_address(request._request) or ""
        if wait := throttling.wait_s(throttling.TOKEN_BY_ADDRESS, address):
            raise Throttled(wait, "Too many requests with unknown API tokens from this address.")
        throttling.record_failure(throttling.TOKEN_BY_ADDRESS, address)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes the authentication in the OpenAPI document."""

    target_class = "ktrdr_site.accounts.authentication.TokenAuthentication"
    name = "apiToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "ktp_..."}
