"""Compute the entries of the search index with plans that a session keeps.

PostgreSQL tries to inline a function in SQL wherever an index calls it, for which it parses the text at each insertion.
It also planned the query each time, because a plan for a known length looks cheaper than one for any length: the
length now comes from a subquery. The index removes duplicates itself. Its entries stay the same.
"""

from django.db import migrations

PLANNED_ONCE = r"""
CREATE OR REPLACE FUNCTION operations_grams(value text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
BEGIN
    RETURN ARRAY(SELECT substr(value, start, 3) FROM generate_series(1, (SELECT length(value) - 2)) AS start)
        || ARRAY(SELECT word FROM regexp_split_to_table(value, '\W+') AS word WHERE length(word) BETWEEN 1 AND 2);
END
$$;
"""
IN_SQL = r"""
CREATE OR REPLACE FUNCTION operations_grams(value text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
    SELECT coalesce(array_agg(DISTINCT gram), '{}') FROM (
        SELECT substr(value, start, 3) FROM generate_series(1, length(value) - 2) AS start
        UNION ALL
        SELECT word FROM regexp_split_to_table(value, '\W+') AS word WHERE length(word) BETWEEN 1 AND 2
    ) AS grams(gram)
$$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('operations', '0035_fewer_indexes'),
    ]

    operations = [
        migrations.RunSQL(PLANNED_ONCE, IN_SQL),
    ]
