"""What the site's generator calls for every docstring that it reads."""

from __future__ import annotations

from typing import Any

from columns import as_markdown
from griffe import Extension, Object


class Columns(Extension):
    """Rewrites docstrings with columns as Markdown."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
