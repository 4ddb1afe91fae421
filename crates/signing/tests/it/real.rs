//! Tests with real peers: botocore, boto3, the AWS CLI, the SDKs for JavaScript and Rust, moto and MiniStack.

mod bedrock;
mod boto3;
mod botocore;
mod memory;
mod other_sdks;
mod rust_sdk;
