"""Prints the key that boto3 finds on its default chain, and whether the proxy refused what is outside."""

import json
import os
import urllib.error
import urllib.request

import boto3

key = boto3.Session().get_credentials().get_frozen_credentials().access_key
# A client that sends every request through the proxy unless an exception applies.
url, token = (os.environ[f"AWS_CONTAINER_{name}"] for name in ("CREDENTIALS_FULL_URI", "AUTHORIZATION_TOKEN"))
with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": token})) as response:
    assert json.load(response)["AccessKeyId"] == key
print(key)
try:
    urllib.request.urlopen(os.environ["OUTSIDE"])
except urllib.error.HTTPError as error:
    print("refused" if error.code == 502 else error)
