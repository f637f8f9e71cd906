"""The command line of the test cluster.

up [--nodes N]      bring it up, with the two images built from this checkout on every node
load                build the images again and put what has changed onto the running nodes
down                take it down; only its logs stay
status              what is there, and the commands to talk to it
kill NODE           cut a node's power
start NODE          switch it on again
exec NODE CMD ...   run a command on a node
prepare             install and build what `up` needs, and start nothing
images              build both images; their archives
sbom                build both images; their bills of materials, in build/sbom
check               whether a cluster can come up here; if not, why
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.e2e.cluster import binaries, images
from tests.e2e.cluster.cluster import DEFAULT_NODES, Cluster, at, why_not
from tests.e2e.cluster.commands import ClusterError
from tests.e2e.cluster.guard import guarded
from tests.e2e.cluster.places import PROJECT, STANDING, Places


def main() -> int:
    """Run one command."""
    options = _parser().parse_args()
    try:
        return _run(options)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        if options.command == "up":
            sys.stderr.write(f"The logs, if it came so far: {Places(options.directory).logs}\n")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
    return 1


def _run(options: argparse.Namespace) -> int:
    cluster = at(options.directory)
    match options.command:
        case "up":
            if reason := why_not():
                raise ClusterError(reason)
            archives = [*([] if options.bare else images.build()), *options.image]
            with guarded(cluster.places.directory):
                cluster.up(options.nodes, archives)
            _tell(cluster)
        case "load":
            cluster.load([*images.build(), *options.image])
        case "down":
            cluster.down()
        case "status":
            _tell(cluster)
        case "kill":
            cluster.kill_node(options.node)
        case "start":
            cluster.start_node(options.node)
        case "exec":
            return cluster.exec_node(options.node, *options.words)
        case "prepare":
            cluster.prepare()
            images.build()
        case "images":
            _print("\n".join(map(str, images.build())))
        case "sbom":
            _print("\n".join(map(str, images.bills(PROJECT / "build" / "sbom"))))
        case "check":
            if reason := why_not():
                raise ClusterError(reason)
    return 0


def _tell(cluster: Cluster) -> None:
    status = cluster.status()
    if status is None:
        _print(f"no cluster in {cluster.places.directory}")
        return
    tools = os.pathsep.join(str(tool.parent) for tool in (binaries.kubectl(), binaries.helm()))
    _print(f"{status}\nto use it:    export KUBECONFIG={status.kubeconfig} PATH={tools}:$PATH")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--directory", type=Path, default=STANDING, help="where the cluster lives (%(default)s)")
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.cluster", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    names = ("up", "load", "down", "status", "kill", "start", "exec", "prepare", "images", "sbom", "check")
    each = {name: commands.add_parser(name, parents=[common]) for name in names}
    each["up"].add_argument("--nodes", type=int, default=DEFAULT_NODES)
    each["up"].add_argument("--bare", action="store_true", help="without our images")
    for name in ("up", "load"):
        each[name].add_argument("--image", type=Path, nargs="+", default=[], help="more image archives")
    for name in ("kill", "start", "exec"):
        each[name].add_argument("node")
    each["exec"].add_argument("words", nargs=argparse.REMAINDER)
    return parser


if __name__ == "__main__":
    sys.exit(main())
