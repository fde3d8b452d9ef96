"""`manage.py submit study FILE --strategy STRATEGY.yaml [--model OP] [--wait]`."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from access.problems import validate
from operations.insertion import Submitter
from operations.management.submitting import read_file
from studies.creation import create
from studies.request import DEFAULT_PRIORITY, StudyRequest


class SubmittableStudy:
    name = "study"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--strategy", type=Path, metavar="FILE", help="study: STRATEGY.yaml")

    def submit(self, path: Path, options: Mapping[str, Any], stdout: OutputWrapper) -> int:
        """Submit the study on behalf of the system. Raises CommandError and Invalid."""
        if options["strategy"] is None:
            raise CommandError("A study needs its strategy: --strategy STRATEGY.yaml")
        priority = options["priority"]
        fields = {
            "study_yaml": read_file(path),
            "strategy_yaml": read_file(options["strategy"]),
            "model": options["model"],
            "priority": DEFAULT_PRIORITY if priority is None else priority,
        }
        study, _ = create(validate(StudyRequest, fields), Submitter())
        stdout.write(json.dumps({"study_id": study.study_id}) if options["json"] else study.study_id)
        if not options["wait"]:
            return 0
        # Loads the library of progress bars, which no server needs.
        from studies.following import follow_until_detached

        return follow_until_detached(study.study_id, sys.stderr)
