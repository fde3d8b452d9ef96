"""One archive of everything that counts: rows, artifacts, secrets; and back from it.

The rows are read by COPY in one REPEATABLE READ transaction, so they are of one moment, whatever runs meanwhile. The files
are copied after that: they are named by their content and never changed, so a file that a row of the snapshot names is
still the same later, and the cleanup, which alone removes files, waits until the backup is done. The other order
could miss a file that a row of the snapshot names.

COPY rather than pg_dump: no binary has to match the server, the archive of one PostgreSQL (14 to 18) goes into any
other, and a restore executes nothing that an archive says; it makes the schema with the migrations of this code, up to
those of the archive, fills it, and migrates on.
"""
