"""JSON in and out, with orjson where it is installed and the standard library where it is not.

Both sides raise ValueError for anything that is not JSON, including nesting that is too deep.
"""

import json
from typing import Any

try:
    import orjson
except ImportError:  # pragma: no cover - the product installs orjson; the sandbox can do without

    def loads(data: bytes) -> Any:
        """Parse UTF-8 JSON; ValueError if it is not."""
        try:
            return json.loads(data)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    def dumps(value: Any) -> bytes:
        """Compact UTF-8 JSON."""
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()

    def canonical(value: Any) -> bytes:
        """JSON with sorted keys: equal content gives equal bytes."""
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()

else:

    def loads(data: bytes) -> Any:
        """Parse UTF-8 JSON; ValueError if it is not."""
        return orjson.loads(data)

    def dumps(value: Any) -> bytes:
        """Compact UTF-8 JSON."""
        return orjson.dumps(value)

    def canonical(value: Any) -> bytes:
        """JSON with sorted keys: equal content gives equal bytes."""
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
