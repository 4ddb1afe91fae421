//! An MCP server with the tools, prompts and resources that the official conformance suite calls by name. It serves
//! stdio, or streamable HTTP by rmcp itself: `valetkey-conformance-server [--http ADDRESS]`.

mod catalog;
mod client_requests;
mod input;
mod server;
mod tasks;

use std::env;
use std::error::Error;
use std::sync::Arc;

use axum::Router;
use rmcp::ServiceExt as _;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::net::TcpListener;

use server::ConformanceServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = ConformanceServer::new()?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => serve_stdio(server).await,
        ["--http", address] => serve_http(server, address).await,
        _ => Err("usage: valetkey-conformance-server [--http ADDRESS]".into()),
    }
}

async fn serve_stdio(server: ConformanceServer) -> Result<(), Box<dyn Error>> {
    server.serve(rmcp::transport::stdio()).await?.waiting().await?;
    Ok(())
}

/// Prints its URL as the last word of a line, as `valetkey serve --http` does.
async fn serve_http(server: ConformanceServer, address: &str) -> Result<(), Box<dyn Error>> {
    let sessions = Arc::<LocalSessionManager>::default();
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, Default::default());
    let listener = TcpListener::bind(address).await?;
    eprintln!("serving MCP at http://{}/mcp", listener.local_addr()?);
    axum::serve(listener, Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}
