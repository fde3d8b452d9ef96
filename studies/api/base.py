"""Shared by the views of studies."""

from collections.abc import Callable

from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.problems import Conflict
from studies.lifecycle import WrongState
from studies.models import Study
from studies.serializers import StudyDetailSerializer


def study_or_404(study_id: str) -> Study:
    """Return the study. Raises NotFound."""
    study = (
        None
        if "\x00" in study_id
        else Study.objects.select_related("created_by").filter(study_id=study_id).first()
    )
    if study is None:
        raise NotFound("Unknown study.")
    return study


def study_response(study_id: str, code: int = status.HTTP_200_OK) -> Response:
    return Response(StudyDetailSerializer(study_or_404(study_id)).data, status=code)


def change(request: Request, study_id: str, act: Callable[[], object]) -> Response:
    """Change the study and return it with 202. Raises NotFound, Conflict."""
    study_or_404(study_id)
    try:
        act()
    except WrongState as error:
        raise Conflict(str(error)) from error
    return study_response(study_id, status.HTTP_202_ACCEPTED)
