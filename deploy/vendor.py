"""Copy the front-end libraries of package.json into the tree: `make vendor`; `--check` compares.

npm checks every package against the lock's SHA-512. What is copied is committed, so that a fresh
machine needs no Node.js and the panel asks no other host for anything.
"""

import argparse
import filecmp
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# In the package → in our tree. Source maps stay out.
FILES = {
    "@tabler/core/dist/css/tabler.min.css": "static/vendor/tabler/tabler.min.css",
    "@tabler/icons/LICENSE": "static/vendor/tabler/LICENSE",
    "htmx.org/dist/htmx.min.js": "static/vendor/htmx/htmx.min.js",
    "htmx.org/LICENSE": "static/vendor/htmx/LICENSE",
    "idiomorph/dist/idiomorph.min.js": "static/vendor/idiomorph/idiomorph.min.js",
    "idiomorph/LICENSE": "static/vendor/idiomorph/LICENSE",
    "uplot/dist/uPlot.iife.min.js": "static/vendor/uplot/uPlot.iife.min.js",
    "uplot/dist/uPlot.min.css": "static/vendor/uplot/uPlot.min.css",
    "uplot/LICENSE": "static/vendor/uplot/LICENSE",
    "axe-core/axe.min.js": "tests/browser/vendor/axe.min.js",
    "axe-core/LICENSE": "tests/browser/vendor/LICENSE",
}
SPRITE = "static/vendor/tabler/icons.svg"
USED = re.compile(r"""\{% icon "([a-z0-9-]+)"|icons\.svg#([a-z0-9-]+)|Look\("\w+", "([a-z0-9-]+)""")
SOURCE_MAP = re.compile(rb"\n?/[/*]# sourceMappingURL=\S+(?: \*/)?")


def install(folder: Path) -> Path:
    """The packages of the lock, checked by npm, in `folder`/node_modules."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, folder / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, timeout=300, stdout=subprocess.DEVNULL)  # noqa: S603
    return folder / "node_modules"


def icons_used() -> list[str]:
    """The names of the icons that templates, template tags and scripts ask for."""
    places = [*ROOT.glob("templates/**/*.html"), *ROOT.glob("static/js/*.js")]
    places += ROOT.glob("*/templatetags/*.py")
    found = (USED.findall(place.read_text()) for place in places)
    return sorted({"".join(groups) for names in found for groups in names})


def sprite(modules: Path) -> bytes:
    """One SVG file with a symbol per icon used."""
    symbols = [_symbol(modules / "@tabler/icons/icons/outline", name) for name in icons_used()]
    head = '<svg xmlns="http://www.w3.org/2000/svg">'
    return "\n".join([head, *symbols, "</svg>", ""]).encode()


def _symbol(folder: Path, name: str) -> str:
    file = folder / f"{name}.svg"
    if not file.exists():
        sys.exit(f"@tabler/icons has no icon named {name}: correct the template that asks for it")
    inner = re.sub(r"(?s)^.*?<svg[^>]*>|</svg>.*$", "", file.read_text())
    return f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(inner.split())}</symbol>'


def vendor(root: Path, modules: Path) -> list[Path]:
    """Write every vendored file below `root`; returns their paths relative to it."""
    contents = {to: SOURCE_MAP.sub(b"", (modules / at).read_bytes()) for at, to in FILES.items()}
    contents[SPRITE] = sprite(modules)
    for to, content in contents.items():
        (root / to).parent.mkdir(parents=True, exist_ok=True)
        (root / to).write_bytes(content)
    return [Path(to) for to in contents]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if one differs")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        target = folder / "tree" if check else ROOT
        files = vendor(target, install(folder))
        if not check:
            print(f"vendored {len(files)} files, {len(icons_used())} icons")
            return
        _, wrong, missing = filecmp.cmpfiles(target, ROOT, [str(f) for f in files], shallow=False)
        if wrong or missing:
            sys.exit(f"not as package-lock.json has them: {', '.join(wrong + missing)}")


if __name__ == "__main__":
    main()
