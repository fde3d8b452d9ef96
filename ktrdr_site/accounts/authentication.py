"""Authentication of users at the API: `Authorization: Bearer ktp_...`."""

from django.contrib.auth.models import User
from django.db.models.functions import Now
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from access import throttling
from access.client_address import client_address
from access.prepared import columns_of, fetch_one, instance
from access.roles import limit_role, note_groups
from ktrdr_site.models import TOKEN_PREFIX, ApiToken, token_digest

_UNUSED_OF_TOKEN = frozenset({"name", "sha256", "created_at", "last_used_at", "revoked_at", "expires_at"})
_UNUSED_OF_OWNER = frozenset({"password", "last_login", "first_name", "last_name", "email", "date_joined"})
"""No request that is authenticated by a token needs these."""
_TOKEN_COLUMNS = len(ApiToken._meta.concrete_fields) - len(_UNUSED_OF_TOKEN)
_FIND = f"""
    SELECT COALESCE(token.expires_at <= statement_timestamp(), false),
           COALESCE(token.last_used_at > statement_timestamp() - interval '1 minute', false),
           ARRAY(
               SELECT name::text FROM auth_user_groups JOIN auth_group ON auth_group.id = auth_user_groups.group_id
               WHERE auth_user_groups.user_id = token.user_id
           ),
           {columns_of(ApiToken, "token", without=_UNUSED_OF_TOKEN)}, {columns_of(User, "owner", without=_UNUSED_OF_OWNER)}
    FROM ktrdr_site_apitoken AS token JOIN auth_user AS owner ON owner.id = token.user_id
    WHERE token.sha256 = %(sha256)s AND token.revoked_at IS NULL
"""  # noqa: S608  (constants)
"""Read for each request, so that a revocation, an expiry or a deactivated user counts at once in all processes."""


class TokenAuthentication(BaseAuthentication):
    """Authenticates API tokens. Other bearer tokens (of workers) are left to other classes."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token.startswith(TOKEN_PREFIX):
            return None
        row = fetch_one(_FIND, {"sha256": token_digest(token.strip())})
        if row is None:
            self._count_failure(request)
            raise AuthenticationFailed("This API token is unknown or revoked.")
        has_expired, use_is_recent, groups, *columns = row
        api_token = instance(ApiToken, columns[:_TOKEN_COLUMNS], without=_UNUSED_OF_TOKEN)
        api_token.user = instance(User, columns[_TOKEN_COLUMNS:], without=_UNUSED_OF_OWNER)
        if has_expired:
            raise AuthenticationFailed("This API token has expired; create a new one.")
        if not api_token.user.is_active:
            raise AuthenticationFailed("The user of this API token is not active.")
        if not use_is_recent:
            # Once a minute is enough to find unused tokens, and saves a write per request.
            ApiToken.objects.filter(pk=api_token.pk).update(last_used_at=Now())
        note_groups(api_token.user, groups)
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
