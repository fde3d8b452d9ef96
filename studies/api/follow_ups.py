"""After a study: its winner as an ordinary training and backtest, and a second look at the sealed data."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.actors import Actor
from access.problems import body, validate
from access.roles import Role
from operations.api.base import submitter
from operations.api.serializers import SubmittedSerializer
from studies.api.base import change, study_or_404
from studies.holdout import look_again
from studies.promotion import promote
from studies.request import PromoteRequest
from studies.serializers import StudyDetailSerializer


class PromoteTrial(APIView):
    @extend_schema(
        request=PromoteRequest,
        responses={202: inline_serializer("Promoted", {"operations": SubmittedSerializer(many=True), "number": serializers.IntegerField()})},
    )  # fmt: skip
    def post(self, request: Request, study_id: str) -> Response:
        """Run one trial, by default the best, as ordinary operations on the data before the holdout."""
        data = body(request)
        study, promotion = study_or_404(study_id), validate(PromoteRequest, data)
        number, operations = promote(study, promotion.number, submitter(request, data))
        context = {"request": request}
        shown = [SubmittedSerializer(operation, context=context).data for operation in operations]
        return Response({"number": number, "operations": shown}, status=status.HTTP_202_ACCEPTED)


class LookAtHoldout(APIView):
    roles: ClassVar = {"POST": Role.STAFF}

    @extend_schema(request=None, responses={202: StudyDetailSerializer})
    def post(self, request: Request, study_id: str) -> Response:
        """Write the report of a COMPLETED study again with one more look at the holdout; every later report shows the number."""
        return change(request, study_id, lambda: look_again(study_id, Actor.from_request(request)))
