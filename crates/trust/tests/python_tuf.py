"""Reads a repository of ours with python-tuf's client and prints the releases it finds.

Called by tests/all/python.rs with a folder: metadata/ holds what is served below /v1/tuf/.
"""
import sys
from pathlib import Path

from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface
from tuf.api.exceptions import DownloadHTTPError


class Folder(FetcherInterface):
    """Serves files instead of a network."""

    def _fetch(self, url):
        path = Path(url.removeprefix("file://"))
        if not path.is_file():
            raise DownloadHTTPError("not there", 404)
        yield path.read_bytes()


folder = Path(sys.argv[1])
cache = folder / "cache"
cache.mkdir()
updater = Updater(
    metadata_dir=str(cache),
    metadata_base_url=f"file://{folder}/metadata/",
    fetcher=Folder(),
    bootstrap=(folder / "metadata" / "1.root.json").read_bytes(),
)
updater.refresh()
for version in (1, 2):
    info = updater.get_targetinfo(f"releases/acme/rules/{version}.json")
    print(info.path, info.length)
assert updater.get_targetinfo("releases/acme/rules/3.json") is None
