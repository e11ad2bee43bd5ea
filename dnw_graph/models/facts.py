"""What is known of a network besides its tensors and its wiring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class ImportedStage:
    """Edges of one stage in a file of the 2019 code.

    kept    that its wiring had
    usable  of these, the ones that were ever read; the others are dropped
    """

    kept: int
    usable: int

    @property
    def never_read(self) -> int:
        return self.kept - self.usable


@dataclass(frozen=True)
class ImportedCounts:
    """Published counts of a file of the 2019 code, which the wiring that is left does not tell.

    counts        plain numbers, as `dnw_graph.accounting.Published.as_dict` gives them
    wiring_crc32  of the wiring for which they hold
    """

    counts: Mapping[str, Any]
    wiring_crc32: int


@dataclass(frozen=True)
class Facts:
    """What a network cannot compute of itself.

    width          the budget as the configuration said it, with which the published counts reckon
    class_names    one per logit
    preprocessing  of the images it was trained on; keys in `dnw_graph.data.preprocessing`
    published      counts of an imported file
    official       what an import kept and dropped, by stage
    """

    width: float | None = None
    class_names: list[str] | None = None
    preprocessing: dict[str, Any] | None = None
    published: ImportedCounts | None = None
    official: Mapping[str, ImportedStage] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for state.json of a checkpoint; what is unknown is left out."""
        plain = {name: getattr(self, name) for name in ("width", "class_names", "preprocessing")}
        if self.published is not None:
            plain["published"] = {**self.published.counts, "wiring_crc32": self.published.wiring_crc32}
        if self.official:
            plain["official"] = {
                name: {"kept": each.kept, "usable": each.usable, "never_read": each.never_read}
                for name, each in self.official.items()
            }
        return {name: value for name, value in plain.items() if value is not None}

    def updated(self, plain: Mapping[str, Any]) -> Facts:
        """These facts with those that `to_json` wrote in their place."""
        changes = {
            name: plain[name]
            for name in ("width", "class_names", "preprocessing")
            if plain.get(name) is not None
        }
        if published := plain.get("published"):
            counts = {name: value for name, value in published.items() if name != "wiring_crc32"}
            changes["published"] = ImportedCounts(counts, published["wiring_crc32"])
        if official := plain.get("official"):
            changes["official"] = {
                name: ImportedStage(each["kept"], each["usable"]) for name, each in official.items()
            }
        return replace(self, **changes)
