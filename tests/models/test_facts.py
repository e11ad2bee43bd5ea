"""What is known of a network goes into a checkpoint's JSON and comes back."""

from __future__ import annotations

import json

from dnw_graph.models.facts import Facts, ImportedCounts, ImportedStage


def test_facts_come_back_from_json() -> None:
    facts = Facts(
        width=0.225,
        class_names=["cat", "dog"],
        preprocessing={"mean": [0.5, 0.5, 0.5]},
        published=ImportedCounts({"params": 3, "macs": None}, wiring_crc32=7),
        official={"stage_0": ImportedStage(kept=5, usable=3)},
    )
    assert Facts().updated(json.loads(json.dumps(facts.to_json()))) == facts


def test_what_is_unknown_is_not_written_and_takes_nothing_away() -> None:
    assert Facts().to_json() == {}
    assert Facts(width=0.3).updated({}) == Facts(width=0.3)


def test_the_form_is_that_of_checkpoints_so_far() -> None:
    facts = Facts(
        published=ImportedCounts({"params": 3, "macs": None}, wiring_crc32=7),
        official={"stage_0": ImportedStage(kept=5, usable=3)},
    )
    assert facts.to_json() == {
        "published": {"params": 3, "macs": None, "wiring_crc32": 7},
        "official": {"stage_0": {"kept": 5, "usable": 3, "never_read": 2}},
    }
