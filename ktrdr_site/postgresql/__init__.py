"""Django database backend: Django's own for PostgreSQL, with a check of idle sessions that sends nothing."""
