"""REST for sampled predictions and their labels."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.samples import ingest
from registry.api.serializers import Shape
from registry.domain.roles import Permission
from rollouts import reach
from rollouts.api.batches import BatchParser, records_of


class RefusedOut(Shape):
    index = serializers.IntegerField()
    reason = serializers.CharField()


class PredictionIn(Shape):
    endpoint = serializers.CharField(max_length=100)
    version = serializers.CharField(max_length=64)
    request_id = serializers.CharField(max_length=128)
    at = serializers.FloatField(help_text="Unix time.")
    outputs = serializers.DictField(
        child=serializers.ListField(), help_text="Flat lists of numbers or texts; null for what is neither."
    )
    mirrored = serializers.BooleanField(required=False)
    segment = serializers.DictField(child=serializers.CharField(), required=False)
    trace_id = serializers.CharField(max_length=32, required=False, help_text="W3C trace of the request.")


class PredictionsIn(Shape):
    records = PredictionIn(many=True, help_text="1 to 1,000.")


class PredictionsOut(Shape):
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    refused = RefusedOut(many=True)


class LabelIn(Shape):
    endpoint = serializers.CharField(max_length=100)
    request_id = serializers.CharField(max_length=128)
    value = serializers.JSONField(help_text="A number, a boolean (1 or 0) or a text.")
    at = serializers.FloatField(required=False, help_text="Unix time; now when absent.")
    name = serializers.CharField(max_length=64, default="label")
    version = serializers.CharField(max_length=64, required=False, help_text="Only for this version.")


class LabelsIn(Shape):
    records = LabelIn(many=True, help_text="1 to 1,000.")


class LabelsOut(PredictionsOut):
    changed = serializers.IntegerField(help_text="Replaced another value.")
    waiting = serializers.IntegerField(help_text="Without a prediction so far.")


class Predictions(APIView):
    """Sampled predictions, in batches; 429 with Retry-After when more comes than is kept."""

    parser_classes = (BatchParser,)

    @extend_schema(operation_id="predictions_ingest", request=PredictionsIn, responses={202: PredictionsOut})
    def post(self, request: Request) -> Response:
        allowed = reach.endpoint_names(request.user, Permission.INGEST)
        taken = ingest.take_predictions(records_of(request), timezone.now().timestamp(), allowed)
        return Response(taken.to_dict(), status=status.HTTP_202_ACCEPTED)


class Labels(APIView):
    """What turned out to be true, joined to predictions by request id, however late it comes."""

    parser_classes = (BatchParser,)

    @extend_schema(operation_id="labels_ingest", request=LabelsIn, responses={202: LabelsOut})
    def post(self, request: Request) -> Response:
        allowed = reach.endpoint_names(request.user, Permission.INGEST)
        taken = ingest.take_labels(records_of(request), timezone.now().timestamp(), allowed)
        return Response(taken.to_dict(), status=status.HTTP_202_ACCEPTED)
