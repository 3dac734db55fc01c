//! A TCP connection that proves something only by staying open.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::world::{PortError, PortErrorKind, PortResult};

/// Connects and watches the connection for `hold`. What the other side says is read and dropped.
pub(super) async fn connect(address: &str, timeout: Duration, hold: Duration) -> PortResult<()> {
    if !address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)) {
        return Err(PortError::invalid(format!("`{address}` is not an address for TCP")).hint("write it as host:port"));
    }
    let late = |_| {
        let seconds = timeout.as_secs_f32();
        PortError::new(PortErrorKind::Timeout, format!("no connection to {address} within {seconds} s"))
    };
    let connected = tokio::time::timeout(timeout, TcpStream::connect(address)).await.map_err(late)?;
    let mut stream = connected.map_err(|error| unreachable(address, &error))?;
    let until = Instant::now() + hold;
    let mut dropped = [0; 4096];
    loop {
        match timeout_at(until, stream.read(&mut dropped)).await {
            Err(_) => return Ok(()),
            Ok(Ok(count)) if count > 0 => {}
            Ok(ended) => return Err(hung_up(address, ended.err())),
        }
    }
}

fn unreachable(address: &str, error: &io::Error) -> PortError {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default().to_lowercase();
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => PortErrorKind::Denied,
        io::ErrorKind::TimedOut => PortErrorKind::Timeout,
        _ => PortErrorKind::Unreachable,
    };
    PortError::new(kind, format!("cannot connect to {address}: {words}"))
}

fn hung_up(address: &str, error: Option<io::Error>) -> PortError {
    let how = if error.is_some() { "reset" } else { "closed" };
    PortError::new(PortErrorKind::Unreachable, format!("{address} accepted the connection and {how} it at once")).hint(
        "the proxy of a container engine does that on a published port when nothing listens inside the container: \
         look at the container, or check it over HTTP or at its own address",
    )
}
