"""Sends signed requests to the proxy, unchanged and changed, and prints the status of each response."""
import http.client
import json
import os
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
KEYS = Credentials(*(os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")))
FORM = "Action=GetCallerIdentity&Version=2011-06-15"
counter = 0


def signed(body=FORM, keys=KEYS, service="sts", region="us-east-1", path="/", auth=SigV4Auth):
    global counter
    counter += 1
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "X-Amz-Nonce": str(counter)}
    request = AWSRequest(method="POST", url=ENDPOINT + path, data=body, headers=headers)
    auth(keys, service, region).add_auth(request)
    return request.prepare()


def send(request, body=None, path=None, headers=None, method="POST"):
    connection = http.client.HTTPConnection(urlsplit(ENDPOINT).netloc)
    target = urlsplit(request.url)
    path = path or target.path + ("?" + target.query if target.query else "")
    values = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    values.update(headers or {})
    connection.request(method, path, body if body is not None else request.body, values)
    response = connection.getresponse()
    return [response.status, response.read().decode()]


results = {"unchanged": send(signed())}
request = signed()
send(request)
results["replayed"] = send(request)
request = signed()
ids = {"amz-sdk-invocation-id": "1"}
send(request, headers=ids)
results["replayed with its id"] = send(request, headers=ids)
results["body"] = send(signed(), body=FORM.replace("Caller", "caller"))
results["path"] = send(signed(), path="/other")
results["query"] = send(signed(), path="/?a=b")
results["method"] = send(signed(), method="PUT")
results["header"] = send(signed(), headers={"X-Amz-Nonce": "other"})
results["added header"] = send(signed(), headers={"X-Amz-Added": "1"})
for name, old, new in (("region", "us-east-1", "eu-west-1"), ("service", "/sts/", "/iam/")):
    request = signed()
    authorization = request.headers["Authorization"]
    results[name] = send(request, headers={"Authorization": authorization.replace(old, new)})
wrong = Credentials(KEYS.access_key, "0" * 64, KEYS.token)
results["secret"] = send(signed(keys=wrong))
results["token"] = send(signed(keys=Credentials(KEYS.access_key, KEYS.secret_key, "0" * 64)))
results["no token"] = send(signed(keys=Credentials(KEYS.access_key, KEYS.secret_key)))
results["presigned"] = send(signed(body={}, auth=SigV4QueryAuth), headers={})
results["unknown region"] = send(signed(region="us-east-1.attacker.example"))
results["unknown service"] = send(signed(service="attacker"))
results["shared name"] = send(signed(service="dynamodb"))
results["issues keys"] = send(signed(body="Action=GetSessionToken&Version=2011-06-15"))
results["two actions"] = send(signed(body=FORM + "&Action=GetSessionToken"))
results["host"] = send(signed(), headers={"Host": "sts.amazonaws.com"})
results["forwarded"] = send(signed(), headers={"X-Forwarded-For": "10.0.0.1"})
results["absolute"] = send(signed(), path="http://sts.amazonaws.com/")
print(json.dumps(results))
