"""The README is a promise: every block of it runs, in order, and answers in the shape that it shows."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_stack import remains_of

from local_stack.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "--- end of block {} ---"


def blocks() -> list[tuple[str, str]]:
    """Return the README's blocks as (language, text)."""
    return _BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.fixture
def data() -> Iterator[Path]:
    """A stack directory of the README's own; its stack is ended whatever happens."""
    where = Path(tempfile.mkdtemp(prefix="orderflow-readme-"))
    where.chmod(0o711)
    try:
        yield where
    finally:
        subprocess.run([ROOT / "orderflow", "--data", where, "down"], capture_output=True, check=False)
        shutil.rmtree(where, ignore_errors=True)


@pytest.mark.timeout(400)
def test_every_block_of_the_readme_runs_in_order_and_answers_in_its_shape(data: Path) -> None:
    port = str(free_port())
    commands = [text for language, text in blocks() if language == "sh"]
    script = "set -eu -o pipefail\n" + "".join(
        f"{adapted(text, port)}\necho '{_END.format(number)}'\n" for number, text in enumerate(commands)
    )

    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={**os.environ, "ORDERFLOW_DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert remains_of(data) == []  # neither the demo's own stack nor the one that was ended
    for number, shape in promised_shapes():
        before = ran.stdout.split(_END.format(number))[0]
        answer = before.rpartition("---\n")[2] if number else before
        assert_shape(json.loads(answer), shape, "$")


def adapted(text: str, port: str) -> str:
    """Return a block as the test runs it: on a port of its own, and not testing the tests."""
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    text = text.replace("./orderflow up --detach", f"./orderflow up --detach --port {port}")
    return text.replace("./orderflow test", "./orderflow test --collect-only tests/unit")


def promised_shapes() -> list[tuple[int, Any]]:
    """Return (number of the sh block, what it is to answer) for each json block that follows one."""
    shapes, number = [], -1
    for language, text in blocks():
        if language == "sh":
            number += 1
        elif language == "json":
            shapes.append((number, json.loads(text)))
    return shapes


def assert_shape(found: Any, promised: Any, where: str) -> None:
    """See that both have the same members and types; lists are compared by their first item."""
    if isinstance(promised, dict):
        assert isinstance(found, dict), where
        assert set(found) == set(promised), where
        for name, value in promised.items():
            assert_shape(found[name], value, f"{where}.{name}")
    elif isinstance(promised, list):
        assert isinstance(found, list), where
        assert found, where
        assert_shape(found[0], promised[0], f"{where}[0]")
    elif promised is not None:
        assert type(found) is type(promised), where
