"""Records altered on purpose, under a digest that fits: reading must have a better reason to refuse them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from certified.certificates.record import Record


def sealed(record: Record, **changes: Any) -> str:
    """JSON of ``record`` with other fields."""
    fields = {name: value for name, value in record.to_dict().items() if name != "digest"} | changes
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return json.dumps({**fields, "digest": hashlib.sha256(text.encode()).hexdigest()})
