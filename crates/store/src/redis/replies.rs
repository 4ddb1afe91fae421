//! Maps the errors of the client library and of the server to those of a store.

use ::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::StoreError;

/// The text of the error is dropped: it may contain parts of the address.
impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(kind) => from_server(kind),
            ErrorKind::AuthenticationFailed => Self::Denied,
            ErrorKind::InvalidClientConfig => Self::Misconfigured("its address is malformed"),
            ErrorKind::Io if error.is_timeout() => Self::TimedOut,
            ErrorKind::Io if error.is_connection_refusal() => Self::Unavailable("it refuses connections"),
            ErrorKind::Io => Self::Unavailable("the connection failed"),
            ErrorKind::Extension => from_code(error.code().unwrap_or_default()),
            _ => Self::Unexpected,
        }
    }
}

fn from_server(kind: ServerErrorKind) -> StoreError {
    match kind {
        ServerErrorKind::BusyLoading => StoreError::Unavailable("it is starting"),
        ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown | ServerErrorKind::MasterDown => {
            StoreError::Unavailable("it fails over")
        }
        ServerErrorKind::ReadOnly => StoreError::ReadOnly,
        ServerErrorKind::NoPerm => StoreError::Denied,
        _ => StoreError::Unexpected,
    }
}

/// `MISCONF`: the server cannot write to its disk. `NOREPLICAS`: it has lost the replicas that it needs to write.
fn from_code(code: &str) -> StoreError {
    match code {
        "OOM" => StoreError::OutOfMemory,
        "MISCONF" | "NOREPLICAS" => StoreError::ReadOnly,
        "NOAUTH" | "WRONGPASS" => StoreError::Denied,
        "BUSY" => StoreError::Unavailable("it runs a long script"),
        _ => StoreError::Unexpected,
    }
}
