"""The digest of an operation's settings, by which a repetition is recognized as the same trial."""

from collections.abc import Sequence


def digest_sql(left_out: Sequence[str]) -> str:
    """Return SQL of the SHA-256 of `parameters` without the names in `left_out`; its one placeholder takes the defaults.

    `left_out` has constants of the code. Settings that have their default are left out too, so that a release that
    adds a setting counts no operation again.
    """
    removed = "".join(f" - '{name}'" for name in left_out)
    return f"""
        encode(sha256(convert_to((
            SELECT COALESCE(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(parameters{removed})
            WHERE value IS DISTINCT FROM %s::jsonb -> key
        )::text, 'UTF8')), 'hex')"""  # noqa: S608  (constants)
