"""Prints whether botocore computes the same signature of a presigned URL: METHOD URL SECRET."""

import sys
from urllib.parse import parse_qs, urlsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

method, url, secret = sys.argv[1:]
# The token may follow the signature.
start, _, rest = url.partition("&X-Amz-Signature=")
signature, _, after = rest.partition("&")
unsigned = start + ("&" + after if after else "")
query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
key, _, region, service, _ = query["X-Amz-Credential"].split("/")
token = query.get("X-Amz-Security-Token")
auth = S3SigV4QueryAuth(Credentials(key, secret, token), service, region, int(query["X-Amz-Expires"]))
request = AWSRequest(method=method, url=unsigned)
request.context["timestamp"] = query["X-Amz-Date"]
expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
print("valid" if expected == signature else "another signature")
