//! Tests with real peers: botocore, boto3, moto and MiniStack.

mod boto3;
mod botocore;
