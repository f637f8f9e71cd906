"""The Open Inference Protocol as its authors publish it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import yaml

DOCUMENT: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("open_inference_rest.yaml").read_text())


def require(name: str, document: Any) -> None:
    """jsonschema.ValidationError if a document is not what the protocol calls by this name."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.validate(document, schema, jsonschema.Draft4Validator)
