"""`manage.py` with longer graces: on a loaded machine `up` also ends its processes in order, only later.

python -m tests.stack.patient_manage FACTOR up ...
"""

import os
import sys

import django

import manage

GRACES = ("WORKERS_GRACE_S", "SERVERS_GRACE_S", "DATABASE_GRACE_S")


def main() -> None:
    factor = float(sys.argv.pop(1))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ktrdr_site.settings")
    manage._export_data_dir(sys.argv)
    django.setup()
    from ktrdr_site.stack import up

    for name in GRACES:
        setattr(up, name, factor * getattr(up, name))
    manage.main()


if __name__ == "__main__":
    main()
