"""The store for operators: what is in it, in a few figures."""

from __future__ import annotations

import shutil
from typing import Any

from zajil.config.options import Configuration
from zajil.store.accounts import list_accounts
from zajil.store.domains import list_domains
from zajil.store.open import Store


def describe_store(store: Store, configuration: Configuration) -> dict[str, Any]:
    """Give what ``zajil store check --json`` prints."""
    data_dir = configuration.server.data_dir
    return {
        "database": "sqlite" if configuration.store.url == "sqlite" else "postgresql",
        "data_dir": str(data_dir),
        "free_bytes": shutil.disk_usage(data_dir).free,
        "reserve_bytes": configuration.store.free_space_reserve,
        "domains": len(store.read_now(list_domains)),
        "accounts": len(store.read_now(list_accounts)),
    }
