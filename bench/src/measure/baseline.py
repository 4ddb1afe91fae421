"""The earlier design: a lock around a dict, a JSON file; and botocore's refreshable credentials, if installed."""

import json
import os
import sys
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone

ROUNDS = int(sys.argv[1])
KEYS = {"aws_access_key_id": "A" * 20, "aws_secret_access_key": "s" * 40, "aws_session_token": "t" * 436}


class Store:
    """A process-wide store of credentials."""

    def __init__(self):
        self.lock = threading.Lock()
        self.accounts = {"default": dict(KEYS)}

    def get(self):
        with self.lock:
            return dict(self.accounts["default"])


def nanoseconds(action, times):
    action()
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        for _ in range(times):
            action()
        rounds.append((time.perf_counter_ns() - start) / times)
    return rounds


def write(path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(KEYS, file)


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def refreshable():
    from botocore.credentials import RefreshableCredentials

    expiry = datetime.now(timezone.utc) + timedelta(hours=1)
    keys = RefreshableCredentials("A" * 20, "s" * 40, "t" * 436, expiry, dict, "none")
    return keys.get_frozen_credentials


def main():
    found = {"Python lock + dict": nanoseconds(Store().get, 20_000)}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "credentials.json")
        found["Python JSON file, write"] = nanoseconds(lambda: write(path), 200)
        found["Python JSON file, read"] = nanoseconds(lambda: read(path), 1_000)
    try:
        found["botocore RefreshableCredentials"] = nanoseconds(refreshable(), 2_000)
    except ImportError:
        pass
    print(json.dumps({"python": sys.version.split()[0], "found": found}))


main()
