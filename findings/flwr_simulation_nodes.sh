#!/usr/bin/env bash
# flwr 1.42.0: what the queue of its simulation costs grows with nodes times messages. Ten times a second it asks its in-memory
# state for the mail of every node, and each question walks through all messages of the round, those long delivered as well:
# 0.8 CPU seconds a look with 6,000 nodes and 60 messages, beside the server and the workers' threads in one Python process.
# Node numbers are drawn anew in each simulation, so nothing kept by them (who has been asked how often) outlives one.
# Expected: a list of mail for each node; numbers that stay, where a federation has no other name for its devices.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q flwr==1.42.0 2>/dev/null
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import os; os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
import sys, time
from importlib.metadata import version

from uuid import uuid4
from flwr.app import Message, RecordDict
from flwr.proto.task_pb2 import Task
from flwr.server.superlink.fleet.vce.vce_api import _register_nodes
from flwr.server.superlink.linkstate import LinkStateFactory
from flwr.server.superlink.linkstate.in_memory_linkstate import RunRecord
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.federation import NoOpFederationManager

def one(num_nodes, num_messages=60):
    factory = LinkStateFactory(FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), ObjectStoreFactory())
    state = factory.state()
    run = Run.create_empty(1); run.federation_id = NOOP_FEDERATION_ID; run.primary_task_id = 1
    state.run_ids[1] = RunRecord(run=run); state.task_store[1] = Task(task_id=1, run_id=1)
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
    nodes = list(_register_nodes(num_nodes, factory))
    for node in nodes[:num_messages]:
        message = Message(RecordDict(), node, "train")
        message.metadata.__dict__["_message_id"] = str(uuid4())
        assert state.store_message_ins(message)
    def scan():
        began = time.process_time()
        found = sum(len(state.get_message_ins(node, limit=1)) for node in nodes)
        return found, time.process_time() - began
    delivered, _ = scan()
    left, seconds = scan()
    return delivered, left, seconds, nodes[0]

print("flwr", version("flwr"))
rows = [(n, *one(n)) for n in (60, 600, 6000)]
for n, delivered, left, seconds, first in rows:
    print(f"{n} nodes, {delivered} messages delivered, {left} left: a further pass takes {seconds:.3f} CPU s; the first node is {first}")
again = one(60)[3]
print("the first node of another simulation of 60:", again)
grows = rows[2][3] > 20 * rows[0][3]
sys.exit(0 if grows and again != rows[0][4] else 1)
PY
