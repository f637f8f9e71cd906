"""Look through the built site: nothing of it may come from elsewhere, and every picture must be there.

Whoever reads about a private service should not tell a third party so; and a site behind a firewall has to work.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SITE = Path(__file__).parents[2] / "build" / "site"

LOADED = re.compile(r"""<(?:script|img|iframe|source|video)\b[^>]*?\bsrc=["']([^"']+)|<link\b([^>]*)>""")
LINK = re.compile(r"""\bhref=["']([^"']+)""")
FOLLOWED = re.compile(r"""\brel=["'](?:canonical|prev|next|alternate)["']""")
IN_STYLE = re.compile(r"""(?:url\(|@import )["']?(https?:)?//""")


def main() -> None:
    """Say what is wrong, and end with 1 then."""
    wrong = [f"{page.relative_to(SITE)}: {what}" for page in sorted(SITE.rglob("*.html")) for what in _wrong(page)]
    wrong += [
        f"{style.name}: loads from elsewhere" for style in SITE.rglob("*.css") if IN_STYLE.search(style.read_text())
    ]
    if not list(SITE.rglob("*.html")):
        wrong.append(f"{SITE}: holds no page")
    if wrong:
        sys.exit("\n".join(wrong))


def _wrong(page: Path) -> list[str]:
    found = []
    for match in LOADED.finditer(page.read_text()):
        attributes = match[2] or ""
        address = match[1] or (LINK.search(attributes) or [""])[1] if not FOLLOWED.search(attributes) else ""
        path = address.partition("#")[0].partition("?")[0]
        if re.match(r"(https?:)?//", address):
            found.append(f"loads {address}")
        elif path and not address.startswith("data:") and page.name != "404.html" and not (page.parent / path).exists():
            found.append(f"{path} is not there")
    return found


if __name__ == "__main__":
    main()
