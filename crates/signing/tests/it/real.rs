//! Tests with real peers: botocore, boto3, moto and MiniStack.

mod botocore;
