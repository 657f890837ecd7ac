"""`python -m orderflow_cli.dev_issuer DIR`: the development issuer of a deployment in containers.

Makes the key pair in ORDERFLOW_DATA and puts the public half, jwks.json, into DIR; but only while
ORDERFLOW_JWT_ISSUER is the development issuer. With a real one there is no key that we could sign with.
"""

import shutil
import sys
from pathlib import Path

from orderflow_cli import dev_key
from shared_events import environment


def publish(folder: Path) -> bool:
    """Make the key pair if there is none and publish its public half; False with a real issuer."""
    if environment.text("ORDERFLOW_JWT_ISSUER") != dev_key.ISSUER:
        return False
    data = Path(environment.text("ORDERFLOW_DATA"))
    dev_key.make(data)
    shutil.copyfile(dev_key.jwks_file(data), folder / "jwks.json")
    return True


def main() -> int:
    """Publish, and say what was done; status 2 without exactly one directory."""
    if len(sys.argv) != 2:
        environment.stop("usage: python -m orderflow_cli.dev_issuer DIR")
    made = environment.load_or_exit(lambda: publish(Path(sys.argv[1])))
    print(
        "development issuer: anyone with its key may be anybody"
        if made
        else "a real issuer vouches for users"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
