import json
import os
import re

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([\w-]+)/([\w-]+)/aws4_request, ?"
    r"SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})$"
)


def is_valid(received):
    headers = dict(received["headers"])
    match = AUTHORIZATION.match(headers["authorization"])
    key_id, _, region, service, signed, signature = match.groups()
    if key_id != os.environ["KEY_ID"]:
        return False
    kept = {name: value for name, value in headers.items() if name in signed.split(";")}
    url = "http://" + headers["host"] + received["path"]
    request = AWSRequest(received["method"], url, kept, received["body"].encode())
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials(key_id, os.environ["SECRET"]), service, region)
    canonical = signer.canonical_request(request)
    return signer.signature(signer.string_to_sign(request, canonical), request) == signature


print(json.dumps([is_valid(received) for received in json.loads(os.environ["REQUESTS"])]))
