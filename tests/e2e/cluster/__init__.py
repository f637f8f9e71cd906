"""A real Kubernetes on this machine for the tests of the last tier, and for a person who wants to look around.

Two flavours behind one interface (`cluster.py`): kind, where a Docker engine answers; elsewhere, on Linux and as root,
machines that are nothing but namespaces. Nothing outside this room knows which of the two it talks to.

    python -m tests.e2e.cluster up | load | status | kill NODE | start NODE | exec NODE COMMAND | down
"""
