"""What ships stays as it was: a rebuild of the code around it must not touch it."""

import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
KNOWN = json.loads(Path(__file__).with_name("shipped_artifacts.json").read_text("utf-8"))


def test_artifacts_that_ship_are_those_of_before():
    """A manifest holds the digest of every file of its artifact, so that its own stands for all of them."""
    shipped = {
        folder.name: {
            manifest.parent.name: hashlib.sha256(manifest.read_bytes()).hexdigest()
            for manifest in folder.glob("artifacts/*/manifest.json")
        }
        for folder in (ROOT / "assets" / "bundles").glob("*/")
    }
    for dataset, artifacts in KNOWN.items():
        changed = {key for key, digest in artifacts.items() if shipped[dataset].get(key) != digest}
        assert not changed, f"{dataset}: other than before, or gone"
