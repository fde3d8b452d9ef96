"""Empty the database after a test that commits.

Django truncates every table, which creates some 400 new files, and writes content types and permissions again: 0.3 s a
test. Most tables are empty, so deleting the few rows there are takes a thirtieth of it.
"""

from typing import Any

from django.db import connection, transaction

KEPT = ("django_migrations", "django_content_type", "auth_permission")
"""Written by the migrations, and never changed by a test."""
DELETE_ROWS = """
DO $$
DECLARE
  name text;
  has_rows boolean;
  is_empty boolean := false;
BEGIN
  -- Again until nothing is left: a trigger may write rows where none were.
  WHILE NOT is_empty LOOP
    is_empty := true;
    FOR name IN
      SELECT c.oid::regclass::text FROM pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> ALL (%s)
    LOOP
      EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO has_rows;
      IF has_rows THEN
        EXECUTE 'DELETE FROM ' || name;
        is_empty := false;
      END IF;
    END LOOP;
  END LOOP;
END $$
"""


def delete_rows(_test_case: Any) -> None:
    """Stands for `TransactionTestCase._fixture_teardown`. Foreign keys are checked at the end, so any order is right."""
    from ktrdr_site.accounts.groups import create_groups

    with transaction.atomic(), connection.cursor() as cursor:
        kept = "ARRAY['" + "','".join(KEPT) + "']"
        cursor.execute(DELETE_ROWS.replace("%s", kept))
        create_groups(using=connection.alias)
