"""Reads metrics with the parser of the official client, and prints their samples as JSON. Run: metrics.py FILE"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with open(sys.argv[1], encoding="utf-8") as file:
    families = list(text_string_to_metric_families(file.read()))

print(
    json.dumps(
        {
            family.name: {
                "type": family.type,
                "unit": family.unit,
                "help": family.documentation,
                "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
            }
            for family in families
        }
    )
)
