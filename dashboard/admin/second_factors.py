"""Removes django-otp's page from the admin: it shows the keys of users' second factors."""

import django_otp.plugins.otp_totp.admin  # noqa: F401  (registers the page that is removed below)
from django.contrib import admin
from django_otp.plugins.otp_totp.models import TOTPDevice

admin.site.unregister(TOTPDevice)
