"""Saves rows, artifacts and secrets into one archive, and restores them.

COPY reads the rows in one REPEATABLE READ transaction, so they are of one moment, whatever runs meanwhile. The files are
copied after that. They are named by their content and never change, so a file that a row of the snapshot refers to is
the same later; and the cleanup, which is the only one to remove files, keeps them for a retention time after their
last reference went. The other order could miss a file that a row of the snapshot refers to.

COPY rather than pg_dump: no binary has to match the server, the archive of one PostgreSQL (14 to 18) fits any other,
and a restore executes nothing from an archive. It creates the schema with the migrations of this code, up to those of
the archive, fills it, and applies the remaining migrations.
"""
