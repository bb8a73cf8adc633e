"""Reads a repository of ours with python-tuf's client, unchanged, and prints what it gets.

Called by tests/all/python.rs with a folder: metadata/ holds what is served below /v1/tuf/, targets/
what is served below /v1/targets/.
"""
import sys
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface


class Folder(FetcherInterface):
    """Serves files instead of a network, and remembers what was asked for."""

    asked = []

    def _fetch(self, url):
        path = Path(url.removeprefix("file://"))
        self.asked.append(path.name)
        if not path.is_file():
            raise DownloadHTTPError("not there", 404)
        yield path.read_bytes()


folder = Path(sys.argv[1])
(folder / "cache").mkdir()
(folder / "files").mkdir()


def updater(bootstrap=None):
    made = Updater(
        metadata_dir=str(folder / "cache"),
        metadata_base_url=f"file://{folder}/metadata/",
        target_dir=str(folder / "files"),
        target_base_url=f"file://{folder}/targets/",
        fetcher=Folder(),
        bootstrap=bootstrap,
    )
    made.refresh()
    return made


first = updater((folder / "metadata" / "1.root.json").read_bytes())
for version in (1, 2):
    info = first.get_targetinfo(f"releases/acme/rules/{version}.json")
    data = Path(first.download_target(info)).read_bytes()
    print(info.path, info.length, data.hex())
assert first.get_targetinfo("releases/acme/rules/3.json") is None

# A second run takes everything but the next root and the timestamp from its cache.
Folder.asked.clear()
second = updater((folder / "metadata" / "1.root.json").read_bytes())
info = second.get_targetinfo("releases/acme/rules/2.json")
assert second.find_cached_target(info) is not None
assert Folder.asked == ["2.root.json", "timestamp.json"], Folder.asked

# What the role does not vouch for is refused by python-tuf too.
for path in (folder / "targets").rglob("*.2.json"):
    path.write_bytes(b"evil")
try:
    second.download_target(info, filepath=str(folder / "evil"))
except RepositoryError as refused:
    print(type(refused).__name__)
