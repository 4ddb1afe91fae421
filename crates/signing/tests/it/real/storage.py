"""Calls S3 with clients other than the AWS SDKs, most of which sign by themselves, and prints what they return."""
import hashlib
import io
import json
import os
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow
import s3fs
from deltalake import DeltaTable, write_deltalake
from minio import Minio
from pyarrow.fs import S3FileSystem

# Most of these clients accept a host, but no path.
HOST = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
KEYS = [os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")]
REGION = os.environ["AWS_REGION"]
NAMES = ["plain", "a b/ü+%.txt", "x=y&z/~k(1)!*'", "@:,;$", "%2F%41", "q?m#h", "双"]
LARGE = bytes(range(256)) * 4096 * 12
results = []


def digest(body):
    return hashlib.sha256(body).hexdigest()


def record(client, operation, call):
    try:
        results.append([client, operation, call()])
    except Exception as error:
        results.append([client, operation, f"error: {type(error).__name__}: {error}"])


def round_trips(client, write, read):
    """Writes and reads objects; reads one of them again at once, so that the signatures of both requests are equal."""
    for name in NAMES:
        record(client, f"write {name}", lambda: [write(f"{client}/{name}", b"small"), "done"][1])
        record(client, f"read {name}", lambda: [digest(read(f"{client}/{name}")) for _ in range(3)])
    record(client, "write in parts", lambda: [write(f"{client}/large", LARGE), "done"][1])
    record(client, "read large", lambda: digest(read(f"{client}/large")))


def minio():
    """The SDK of MinIO, with a signer of its own."""
    client = Minio(
        endpoint=HOST, access_key=KEYS[0], secret_key=KEYS[1], session_token=KEYS[2], secure=False, region=REGION
    )

    def write(name, body):
        client.put_object(
            bucket_name="proxied", object_name=name, data=io.BytesIO(body), length=-1, part_size=5 * 1024 * 1024
        )

    round_trips("minio", write, lambda name: client.get_object(bucket_name="proxied", object_name=name).read())
    record("minio", "list", lambda: sorted(item.object_name for item in client.list_objects(
        bucket_name="proxied", prefix="minio/", recursive=True)))


def arrow():
    """The AWS SDK for C++."""
    files = S3FileSystem(endpoint_override=HOST, scheme="http", region=REGION)

    def write(name, body):
        with files.open_output_stream(f"proxied/{name}") as stream:
            stream.write(body)

    def read(name):
        with files.open_input_stream(f"proxied/{name}") as stream:
            return stream.read()

    round_trips("arrow", write, read)


def fsspec():
    """aiobotocore."""
    files = s3fs.S3FileSystem()
    round_trips("fsspec", lambda name, body: files.pipe(f"proxied/{name}", body), lambda name: files.cat(f"proxied/{name}"))


def delta():
    """object_store, with a signer of its own, which sends a request that failed again as it is."""
    options = {"AWS_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": f"http://{HOST}", "AWS_S3_ALLOW_UNSAFE_RENAME": "true"}
    location = "s3://proxied/delta table"
    for _ in range(3):
        record("delta", "write", lambda: write_deltalake(
            location, pyarrow.table({"a": [1, 2, 3]}), mode="append", storage_options=options))
    record("delta", "read", lambda: DeltaTable(location, storage_options=options).version())


def s3cmd():
    """A command line with a signer of its own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "access_key": KEYS[0], "secret_key": KEYS[1], "access_token": KEYS[2] or "", "host_base": HOST,
            "host_bucket": HOST, "use_https": "False", "bucket_location": REGION,
        }
        file = Path(folder, "settings")
        file.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))

        def run(*arguments):
            command = [Path(os.environ["STORAGE_BIN"], "s3cmd"), "--config", file, "--no-progress", *arguments]
            ended = subprocess.run(command, capture_output=True, check=False)
            if ended.returncode:
                raise RuntimeError(ended.stderr.decode())

        def write(name, body):
            path = Path(folder, "written")
            path.write_bytes(body)
            run("put", "--multipart-chunk-size-mb=5", path, f"s3://proxied/{name}")

        def read(name):
            run("get", "--force", f"s3://proxied/{name}", Path(folder, "read"))
            return Path(folder, "read").read_bytes()

        round_trips("s3cmd", write, read)


s3fs.S3FileSystem().mkdir("proxied")
for client in (minio, arrow, fsspec, delta, s3cmd):
    client()
print(json.dumps(results))
