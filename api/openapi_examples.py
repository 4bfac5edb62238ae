"""Examples in the description: what to send and what comes back, from ``examples.yaml``.

The file has an entry for each route: values of parameters, the body, the answer. A contract
test holds them against the schemas, and a flow test sends them to a hub.
"""

from importlib.resources import files
from typing import Any

import yaml

Document = dict[str, Any]


def load() -> dict[str, Document]:
    """Return the examples by route, ``METHOD /path``."""
    text = files("api").joinpath("examples.yaml").read_text("utf-8")
    return dict(yaml.safe_load(text))


def add_to(description: Document) -> None:
    """Put each example where OpenAPI has a place for it."""
    examples = load()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            example = examples.get(f"{method.upper()} {path}", {})
            # Parts are shared between routes, their examples are not: always copies.
            values = example.get("parameters", {})
            if "parameters" in operation:
                operation["parameters"] = [
                    given | ({"example": values[given["name"]]} if given["name"] in values else {})
                    for given in operation["parameters"]
                ]
            if "body" in example:
                operation["requestBody"] = _with(operation["requestBody"], example["body"])
            if "answer" in example:
                status = min(operation["responses"])
                answer = operation["responses"][status]
                operation["responses"][status] = _with(answer, example["answer"])


def _with(part: Document, value: object) -> Document:
    """Return a body or an answer with an example of its first form: JSON where there is JSON."""
    content = dict(part["content"])
    form = "application/json" if "application/json" in content else next(iter(content))
    content[form] = content[form] | {"example": value}
    return part | {"content": content}
