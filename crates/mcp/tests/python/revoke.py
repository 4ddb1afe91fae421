"""Revokes every session of a role that was issued up to now, as the console does. Run: revoke.py ROLE_NAME"""

import json
import sys
from datetime import datetime, timedelta, timezone

import boto3

until = (datetime.now(timezone.utc) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
statement = {
    "Effect": "Deny",
    "Action": "*",
    "Resource": "*",
    "Condition": {"DateLessThan": {"aws:TokenIssueTime": until}},
}
document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
boto3.client("iam").put_role_policy(
    RoleName=sys.argv[1], PolicyName="AWSRevokeOlderSessions", PolicyDocument=document
)
