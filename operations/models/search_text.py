from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Func

from operations.models.operation import Operation


class SearchText(models.Model):
    """The text by which an operation is found, in lower case. A trigger in the database writes it.

    It is a table of its own because every update of a row writes all its index entries again, and this index has about
    a hundred of them per operation.
    """

    operation = models.OneToOneField(
        Operation, primary_key=True, on_delete=models.CASCADE, related_name="search_text"
    )
    text = models.TextField()

    class Meta:
        indexes = [GinIndex(Func(F("text"), function="operations_grams"), name="search_text_grams")]

    def __str__(self) -> str:
        return self.text[:80]
