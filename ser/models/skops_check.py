"""A skops archive, looked at before skops builds anything of it.

skops takes what it has read under an `__id__` in place of any later node with the same one, so that a check of the
later node would say nothing. Therefore the schema is written anew, without them: what is checked here is what is built.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ser.errors import CheckpointError
from ser.models import fitted_check
from ser.models.fitted_check import need
from ser.models.skops_types import COMPILED, NULL, RULES, Node, is_trusted, name_of

PROTOCOL = 2
"""Of skops; a file could ask for an older one, whose loaders are others."""


def cleaned(content: bytes) -> tuple[bytes, list[str]]:
    """The archive as skops may load it, and the names to trust in it; random states and `n_jobs` are None in it.

    Raises:
        CheckpointError: if a type is not trusted, or something is not as skops and scikit-learn write it.
        Exception: whatever zipfile, json, NumPy and a missing key raise.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_archive(archive, len(content))
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files.pop("schema.json"))
    need(type(schema["protocol"]) is int and schema["protocol"] == PROTOCOL, "it is of another skops protocol")
    for array in files.values():
        check_array(array)
    names = trusted_names(schema)
    check_tables(schema, files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in files.items():
            archive.writestr(name, array)
        archive.writestr("schema.json", json.dumps(schema))
    return out.getvalue(), names


def check_archive(archive: zipfile.ZipFile, size: int) -> None:
    """A schema and arrays, all stored as they are, so that nothing grows.

    Args:
        size: of the archive, in bytes.
    """
    members = archive.infolist()
    names = {member.filename for member in members}
    need(len(names) == len(members) and "schema.json" in names, "its archive is not as skops writes it")
    need(all(member.compress_type == zipfile.ZIP_STORED for member in members), "its archive is compressed")
    need(sum(member.file_size for member in members) <= size, "its archive says that it is larger than it is")
    need(all(name.endswith(".npy") for name in names - {"schema.json"}), "it holds more than arrays")


def check_array(content: bytes) -> None:
    """An `.npy` file is as long as its header says: `numpy.load` allocates before it reads."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    need(version in ((1, 0), (2, 0)), "an array in it is of another format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    need(not dtype.hasobject and dtype.itemsize > 0, f"an array in it is of the type {dtype}")
    need(all(type(n) is int and 0 <= n < 2**48 for n in shape), "an array in it has no possible shape")
    need(math.prod(shape) * dtype.itemsize == len(content) - file.tell(), "an array in it is not as long as it says")


def trusted_names(schema: Node) -> list[str]:
    """The names of all that skops will import; takes `__id__`, random states and `n_jobs` out of the schema.

    Raises:
        CheckpointError: if one is not trusted.
    """
    names: set[str] = set()
    refused: set[str] = set()
    for node in nodes(schema):
        if node["__loader__"] in ("RandomStateNode", "RandomGeneratorNode"):
            # Of no use after training, while NumPy takes some states without a look and reads out of bounds by them.
            node.clear()
            node.update(NULL)
        elif node["__loader__"] == "NdArrayNode" and node["type"] == "numpy":
            # Keeps its `__id__`, and with it one copy in memory of what one file holds.
            need(node["file"] == f"{node['__id__']}.npy", "an array in it has the name of another")
        else:
            node.pop("__id__", None)
        if node["__loader__"] == "JsonNode":
            need(isinstance(node["content"], str), "a value in it is not text")
        elif is_trusted(node):
            names.add(name_of(node))
        else:
            refused.add(name_of(node) if node["__loader__"] in RULES else f"{name_of(node)} as {node['__loader__']}")
    if refused:
        raise CheckpointError(
            f"this checkpoint asks for types that are not trusted: {', '.join(sorted(refused))}",
            do="load only checkpoints of this package; a new kind of estimator is trusted in ser/models/skops_types.py",
        )
    return sorted(names)


def nodes(part: Any) -> Iterator[Node]:
    """All of a schema that skops could take for a node, parents first; what a parent loses is not visited."""
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "__loader__" in part or "__id__" in part:
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def check_tables(schema: Node, files: Mapping[str, bytes]) -> None:
    """Look at the tables of compiled code before it takes them over: some of it reads out of bounds already then."""
    for node in nodes(schema):
        if node["__loader__"] == "TreeNode":
            fitted_check.tree(plain(node["__reduce__"]["args"], files), plain(node["content"], files))
        elif node["__module__"] == "sklearn.metrics._dist_metrics":
            fitted_check.metric(plain(node["content"], files))
        elif node["__module__"] in COMPILED:
            *values, measure, weights = node["content"]["content"]
            need(measure["__module__"] == "sklearn.metrics._dist_metrics", "a tree of neighbours has no metric")
            need(plain(weights, files) is None, "a tree of neighbours has weights")
            table = [plain(value, files) for value in values]
            fitted_check.neighbours(table, measure["__class__"], plain(measure["content"], files))


def plain(node: Node, files: Mapping[str, bytes]) -> Any:
    """Numbers, text and arrays, and tuples and dicts of such, as skops will make them."""
    loader = node["__loader__"]
    if loader == "JsonNode":
        return json.loads(node["content"])
    if loader == "TupleNode":
        return tuple(plain(part, files) for part in node["content"])
    if loader == "DictNode":
        return {key: plain(part, files) for key, part in node["content"].items()}
    need(loader == "NdArrayNode" and node["type"] == "numpy", f"it holds a {loader} in place of plain values")
    return np.load(io.BytesIO(files[node["file"]]), allow_pickle=False)
