"""Option values as TOML text: the inverse of ``tomllib.loads``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def toml_value(value: Any) -> str:
    """Write one value: text, number, truth, path, list or table of these."""
    match value:
        case str() | Path():
            # JSON's escapes are TOML's, but DEL stands bare in JSON and may not in TOML.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Mapping():
            items = [f"{_key(key)} = {toml_value(item)}" for key, item in value.items()]
            return f"{{ {', '.join(items)} }}" if items else "{}"
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case _:
            raise TypeError(f"no option holds a {type(value).__name__}")


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else toml_value(key)
