//! Tests of the signing proxy through its public interface.

mod real;
mod routes;
