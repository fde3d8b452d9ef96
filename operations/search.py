"""Finds operations by text, with the index of trigrams that the database keeps (`models.SearchText`).

PostgreSQL's own extension for this, pg_trgm, is missing in the embedded server. The functions in SQL are in the
migration `search_text`.
"""

from django.contrib.postgres.fields import ArrayField
from django.db.models import F, Func, Q, TextField, Value
from django.db.models.functions import Lower

from operations.models import SearchText

MAX_LENGTH = 200
GRAM = 3
"""Characters. Shorter text is only found as a whole word, such as the symbol `F`."""


def matches(text: str) -> Q:
    """Select operations with `text` in their id, type, strategy name, error, or the values of their parameters.

    Of the error the first 300 characters count, of the parameters the first 1,000, without the text of a strategy.
    """
    needle = text.strip()[:MAX_LENGTH]
    if not needle:
        return Q()
    lower = Lower(Value(needle))
    rows = SearchText.objects.annotate(grams=_array("operations_grams", F("text")))
    if len(needle) < GRAM:
        rows = rows.filter(
            grams__contains=Func(lower, template="ARRAY[%(expressions)s]", output_field=_ARRAY)
        )
    else:
        rows = rows.filter(grams__contains=_array("operations_trigrams", lower), text__contains=lower)
    return Q(pk__in=rows.values("operation"))


_ARRAY = ArrayField(TextField())


def _array(function: str, argument: F | Func) -> Func:
    return Func(argument, function=function, output_field=_ARRAY)
