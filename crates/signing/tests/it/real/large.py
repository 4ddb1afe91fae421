"""Uploads an object of 200 MB in parts, downloads it again, and prints whether both are equal."""
import hashlib
import io

import boto3

PART = 8 * 1024 * 1024
PARTS = 25


class Pattern(io.RawIOBase):
    """A file that is never in memory as a whole."""

    def __init__(self):
        self.left = PART * PARTS
        self.hash = hashlib.sha256()

    def readable(self):
        return True

    def read(self, size=-1):
        size = min(PART if size < 0 else size, self.left)
        self.left -= size
        data = (b"%08d" % (self.left % 99_999_989)) * (size // 8 + 1)
        self.hash.update(data[:size])
        return data[:size]


s3 = boto3.client("s3")
s3.create_bucket(Bucket="large")
s3.put_object(Bucket="large", Key="small", Body=b"small")
sent = Pattern()
s3.upload_fileobj(sent, "large", "object")
received = hashlib.sha256()
for chunk in s3.get_object(Bucket="large", Key="object")["Body"].iter_chunks(1 << 20):
    received.update(chunk)
print(s3.head_object(Bucket="large", Key="object")["ContentLength"], sent.hash.digest() == received.digest())
