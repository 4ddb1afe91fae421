//! Tests with real peers: botocore, boto3, the SDK for Rust, moto and MiniStack.

mod boto3;
mod botocore;
mod rust_sdk;
