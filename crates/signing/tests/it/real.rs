//! Tests with real peers: botocore, boto3, the AWS CLI, the SDKs for JavaScript, Rust, Go and Java, other clients for S3, moto and MiniStack.

mod bedrock;
mod boto3;
mod botocore;
mod fixture;
mod go_sdk;
mod java_sdk;
mod memory;
mod other_sdks;
mod rust_sdk;
mod storage;
