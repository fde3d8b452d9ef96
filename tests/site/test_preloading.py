"""The processes of `up` share what their nursery has loaded."""

import logging

import django

from ktrdr_site.stack.preloading import load_site


def test_loading_the_site_opens_no_database_session() -> None:
    load_site()  # without the mark `django_db` any query is an error


def test_a_forked_process_keeps_the_log_configuration() -> None:
    handlers = logging.getLogger().handlers[:]
    django.setup()  # as manage.py and gunicorn call it after the fork
    assert logging.getLogger().handlers == handlers
