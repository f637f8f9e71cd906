"""Where compiled programs are kept from one command to the next."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """A folder of the user's; programs hold nothing secret."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "triveni" / "programs"
