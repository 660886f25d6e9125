"""Count the lines of what an API takes, written by hand and written by ``make operators``.

python -m tools.count            prints the counts
python -m tools.count --check    fails where one is above what the project holds itself to
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from airflow_provider_finauth.connections import CONNECTION_TYPES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "airflow_provider_finauth"

MOST_BY_HAND = 900
MOST_OF_AN_API = 60
MOST_OF_THE_SAMPLE = 62


def lines(file: Path) -> int:
    """Count the lines of a file."""
    return len(file.read_text().splitlines())


def sample() -> int:
    """Count the lines of the sample of a new API in docs/developing.md, without blank ones."""
    page = (ROOT / "docs" / "developing.md").read_text()
    chapter = page.partition("\n## Adding an API\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"^```python\n(.*?)^```$", chapter, re.DOTALL | re.MULTILINE)
    return len([line for line in block.splitlines() if line.strip()])


def main() -> int:
    """Print the counts, and check them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="fail where a count is too high")
    check = parser.parse_args().check
    generated = {PACKAGE / "operators" / f"{conn_type}.py" for conn_type in CONNECTION_TYPES}
    by_hand = {
        file: lines(file)
        for folder in ("hooks", "operators")
        for file in sorted((PACKAGE / folder).glob("*.py"))
        if file not in generated
    }
    whole = sum(by_hand.values())
    print(f"hooks/ and operators/, by hand   {whole:5}  (at most {MOST_BY_HAND - 1})")
    print(f"operators/, generated            {sum(map(lines, generated)):5}")
    too_high = whole >= MOST_BY_HAND
    for conn_type in CONNECTION_TYPES:
        hook = by_hand[PACKAGE / "hooks" / f"{conn_type}.py"]
        described = lines(PACKAGE / "apis" / f"{conn_type}.py")
        print(
            f"{conn_type:12} hook by hand        {hook:5}  (at most {MOST_OF_AN_API - 1}); apis/ {described}"
        )
        too_high = too_high or hook >= MOST_OF_AN_API
    new = sample()
    print(f"sample of a new API              {new:5}  (at most {MOST_OF_THE_SAMPLE})")
    too_high = too_high or new > MOST_OF_THE_SAMPLE
    return 1 if check and too_high else 0


if __name__ == "__main__":
    sys.exit(main())
