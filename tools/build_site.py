"""Makes the site in build/site/html, with micrograd-fast[docs] installed.

Usage: build_site.py [--serve]

site_pages.py writes the pages below build/site/docs, Zensical makes a site of them as mkdocs.yml
says, and stops where a link or an anchor leads nowhere. --serve shows the site at
http://localhost:8000; what was edited meanwhile is seen after a new start.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from site_pages import ROOT, write_pages

NAV = re.compile(r"^ +- [^:\n]+: (\S+\.md)$", re.M)


def prepare(folder):
    """Pages and configuration as Zensical reads them, in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    write_pages(folder / "docs")
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in NAV.findall(text):
        if not (folder / "docs" / page).is_file():
            raise FileNotFoundError(f"mkdocs.yml names a page that is not there: {page}")
    (folder / "mkdocs.yml").write_text(text, "utf-8")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--serve", action="store_true", help="show the site")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "site")
    args = parser.parse_args(argv)
    prepare(args.folder)
    command = ["serve"] if args.serve else ["build", "--strict"]
    # In a folder of its own: Zensical keeps a cache beside the configuration.
    return subprocess.run(
        [sys.executable, "-m", "zensical", *command, "-f", "mkdocs.yml"], cwd=args.folder
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
