"""The description of an office's reports: quality and coverage."""

from api.openapi_parts import (
    OFFICE,
    RIGHT,
    STRING,
    Document,
    json_answer,
    object_schema,
    operation,
    query_parameter,
    reference,
)

QUALITY_REPORTS = operation(
    json_answer(
        {"type": "object"},
        "The report; `items` are deliveries, with their findings (not for who reads counts only)",
    ),
    *("400", "401", "403", "404", "406"),
    parameters=[OFFICE, query_parameter("right", "Only this right", RIGHT["schema"])],
)
QUALITY_REPORTS["responses"]["200"]["content"] |= {
    "text/html": {"schema": STRING},
    "text/csv": {"schema": STRING},
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
        "schema": STRING | {"format": "binary"}
    },
}
COVERAGE = operation(
    json_answer(reference("CoverageList"), "Counts by right"),
    *("400", "401", "403", "404", "406"),
    parameters=[
        OFFICE,
        query_parameter(
            "fillRates", "Also the share of records with a value, by field", {"type": "boolean"}
        ),
    ],
)

_INTEGER: Document = {"type": "integer"}

SCHEMAS: Document = {
    "CoverageList": object_schema(
        "office asOf items",
        office=STRING,
        asOf=STRING | {"format": "date-time"},
        items={"type": "array", "items": reference("Coverage")},
    ),
    "Coverage": object_schema(
        "right received visible held byApplicationYear lastDelivery",
        right=RIGHT["schema"],
        received=_INTEGER,
        visible=_INTEGER,
        held=_INTEGER,
        byApplicationYear={
            "type": "array",
            "items": object_schema(
                "year records",
                year={"type": ["integer", "null"], "description": "Null: no known date"},
                records={
                    "type": ["integer", "null"],
                    "description": "Null: too few to be told to who sees all offices",
                },
            ),
        },
        lastDelivery={"type": ["object", "null"]},
        fillRates={"type": "object", "additionalProperties": {"type": "number"}},
    ),
}
