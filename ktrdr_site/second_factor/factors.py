"""Second factors: an authenticator app per user (TOTP, RFC 6238, by django-otp) and recovery codes for its loss."""

import secrets

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django_otp.plugins.otp_totp.models import TOTPDevice

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from ktrdr_site.accounts import people
from ktrdr_site.models import RecoveryCode, token_digest

Act = AuditEntry.Act
RECOVERY_CODES = 10
RECOVERY_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
GROUPS, GROUP_LENGTH = 4, 4
"""A recovery code has 16 characters of 32: 80 random bits."""


class FactorProblem(Exception):
    """The change is refused. The message is one sentence for people."""


def has_factor(user: User) -> bool:
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def with_factor(users: QuerySet[User]) -> QuerySet[User]:
    """Add to each user whether they have a second factor, as `has_second_factor` and in the same query."""
    confirmed = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
    return users.annotate(has_second_factor=Exists(confirmed))


def codes_left(user: User) -> int:
    return RecoveryCode.objects.filter(user=user).count()


def start(user: User) -> TOTPDevice:
    """Create a new key for the user's app, which counts once a code of it is confirmed. Raises FactorProblem."""
    _refuse_another(user)
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user, confirmed=False).delete()
        return TOTPDevice.objects.create(user=user, name="app", confirmed=False)


def qr_code(device: TOTPDevice) -> str:
    """Return the device's otpauth address as SVG without style, script or reference to another file."""
    import segno  # takes 0.05 s of each start, and few people set up a second factor

    return segno.make(device.config_url, error="m").svg_inline(
        scale=4, border=4, light="#fff", omitsize=False
    )


def confirm(user: User, code: str, by: Actor) -> list[str]:
    """Make the new app the user's second factor and return its recovery codes. Raises FactorProblem."""
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=False).first()
        _refuse_another(user)
        if device is None:
            raise FactorProblem("You have not started to set up a second factor; start, then enter a code.")
        if not _is_code_of(device, _normalized(code)):
            raise FactorProblem("This code is wrong or too old; enter the one that the app shows now.")
        TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
        audit.record(Act.SECOND_FACTOR_ADDED, user.username, by)
        return _replace_recovery_codes(user)


def verify(user: User, code: str, by: Actor) -> bool:
    """Return whether it is a valid code of the app or a recovery code, and use it up: each code is valid once."""
    text = _normalized(code)
    with transaction.atomic():
        # The lock makes a code that is sent twice at the same time valid once.
        device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
        if device is None:
            return False
        if _is_code_of(device, text):
            return True
        used, _ = RecoveryCode.objects.filter(user=user, sha256=token_digest(text)).delete()
        if used:
            audit.record(Act.RECOVERY_CODE_USED, user.username, by, f"{codes_left(user)} left")
        return bool(used)


def renew_recovery_codes(user: User, by: Actor) -> list[str]:
    with transaction.atomic():
        audit.record(Act.RECOVERY_CODES_CREATED, user.username, by)
        return _replace_recovery_codes(user)


def remove(user: User, by: Actor) -> None:
    """Remove the user's own second factor."""
    with transaction.atomic():
        if _delete(user):
            audit.record(Act.SECOND_FACTOR_REMOVED, user.username, by)


def reset(user: User, by: Actor) -> bool:
    """Remove the second factor of somebody who lost it, and end their sessions; return whether there was one."""
    with transaction.atomic():
        existed = _delete(user)
        if existed:
            audit.record(Act.SECOND_FACTOR_RESET, user.username, by)
            people.end_sessions(user)
    return existed


def _refuse_another(user: User) -> None:
    if has_factor(user):
        raise FactorProblem("You already have a second factor; remove it before you set up another one.")


def _delete(user: User) -> bool:
    RecoveryCode.objects.filter(user=user).delete()
    confirmed, _ = TOTPDevice.objects.filter(user=user, confirmed=True).delete()
    TOTPDevice.objects.filter(user=user).delete()
    return bool(confirmed)


def _is_code_of(device: TOTPDevice, code: str) -> bool:
    """Check a code of this, the last or the next 30 s that is newer than the last one used. The row must be locked."""
    if len(code) != device.digits or not (code.isascii() and code.isdigit()):
        return False
    return bool(device.verify_token(code))


def _replace_recovery_codes(user: User) -> list[str]:
    RecoveryCode.objects.filter(user=user).delete()
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=user, sha256=token_digest(_normalized(code))) for code in codes
    )
    return codes


def _new_recovery_code() -> str:
    groups = ("".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def _normalized(code: str) -> str:
    return "".join(code.split()).replace("-", "").lower()
