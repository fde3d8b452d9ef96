"""Parse study files strictly (KTRDR studies, version 1).

`parse_study` checks a study on its own; `workers.studies.binding` checks it against its strategy. Both reject every
problem with its position in the study file. This module and everything that it imports need only pydantic and PyYAML.
"""

from pydantic import PrivateAttr, ValidationError

from workers.strategy.document import Document, read_document
from workers.strategy.errors import StrategyError, StrategyProblem, UnplacedProblem
from workers.strategy.validation import validation_problems
from workers.studies import sections
from workers.studies.study_checks import find_contradictions

MAX_CHARACTERS = 200_000


class StudyError(ValueError):
    """The study file is invalid; `errors` lists every problem."""

    def __init__(self, errors: list[StrategyProblem]) -> None:
        self.errors = tuple(errors)
        super().__init__("invalid study: " + "; ".join(str(error) for error in self.errors))


class Study(sections.Study):
    """A valid study file with its text, in which later checks place their problems."""

    _document: Document = PrivateAttr()
    _text: str = PrivateAttr(default="")

    @property
    def text(self) -> str:
        return self._text

    def error(self, problems: list[UnplacedProblem]) -> StudyError:
        """Return the error with the position of each problem in the file."""
        return _study_error(self._document, problems)


def parse_study(text: str) -> Study:
    """Parse the text of a study file.

    Raises `StudyError`; its `errors` list every problem with pointer, line, column and message.
    """
    if len(text) > MAX_CHARACTERS:
        message = (
            f"the file has {len(text):,} characters; the limit is {MAX_CHARACTERS:,}; use ranges, not lists"
        )
        raise StudyError([StrategyProblem("", 1, 1, message)])
    try:
        document = read_document(text)
    except StrategyError as error:
        raise StudyError(list(error.errors)) from error
    if not isinstance(document.data, dict):
        message = "a study file must consist of sections such as study:, name: and search:"
        raise _study_error(document, [("", message)])
    try:
        study = Study.model_validate(document.data)
    except ValidationError as error:
        raise _study_error(document, validation_problems(error, document.data, Study)) from error
    study._document, study._text = document, text
    if problems := find_contradictions(study):
        raise study.error(problems)
    return study


def _study_error(document: Document, problems: list[UnplacedProblem]) -> StudyError:
    placed = []
    for at, message in problems:
        place = document.place(at)
        placed.append(StrategyProblem(at, place.line, place.column, message))
    return StudyError(sorted(placed, key=lambda problem: (problem.line, problem.column)))
