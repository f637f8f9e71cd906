"""Runs the three notebooks as a reader would, 13b and 13c at the same time, and stores what their cells show.

python examples/notebooks/run.py            # into the notebooks themselves
"""

import asyncio
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
TRAIN, SERVE, ASK = "13a-train.ipynb", "13b-serve.ipynb", "13c-ask.ipynb"
SECONDS = 1800  # for a cell: on a busy machine TensorFlow alone takes minutes to load


async def execute(path: Path) -> nbformat.NotebookNode:
    """Run a notebook from its first cell to its last, beside the other ones; raises if a cell does."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    await client.async_execute()
    return notebook


async def execute_all(folder: Path) -> dict[str, nbformat.NotebookNode]:
    """All three, by name."""
    train = await execute(folder / TRAIN)
    serve, ask = await asyncio.gather(execute(folder / SERVE), execute(folder / ASK))
    return {TRAIN: train, SERVE: serve, ASK: ask}


def bare(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without what differs from run to run and machine to machine: times of cells, versions, how lines came in."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = list(joined(cell.outputs))
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return notebook


def joined(outputs: list[nbformat.NotebookNode]) -> Iterator[nbformat.NotebookNode]:
    """The outputs of a cell, lines that follow each other as one text."""
    for (kind, name), group in groupby(outputs, lambda output: (output.output_type, output.get("name"))):
        if kind == "stream":
            yield nbformat.v4.new_output(kind, name=name, text="".join(output.text for output in group))
        else:
            yield from group


def main() -> None:
    """Runs them, and writes them with their outputs."""
    for name, notebook in asyncio.run(execute_all(HERE)).items():
        nbformat.write(bare(notebook), HERE / name)
        print(name, file=sys.stderr)


if __name__ == "__main__":
    main()
