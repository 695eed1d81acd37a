//! Straight to the stream, past ingest.

use casewire_testkit::NatsServer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Publishes bytes on a subject, in NATS' own protocol, and waits until the server has them.
pub(crate) async fn publish(nats: &NatsServer, subject: &str, payload: &[u8]) {
    let mut server = BufReader::new(TcpStream::connect(("127.0.0.1", nats.port())).await.unwrap());
    let mut request =
        format!("CONNECT {{\"verbose\":false}}\r\nPUB {subject} {}\r\n", payload.len()).into_bytes();
    request.extend(payload);
    request.extend(b"\r\nPING\r\n");
    server.write_all(&request).await.unwrap();
    // First it introduces itself; the PONG comes after everything before it was taken in.
    let mut line = String::new();
    while line != "PONG\r\n" {
        line.clear();
        assert_ne!(server.read_line(&mut line).await.unwrap(), 0, "the server hung up");
        assert!(!line.starts_with("-ERR"), "{line}");
    }
}

/// Asks whoever listens on a subject; the first answer's payload.
pub(crate) async fn request(nats: &NatsServer, subject: &str, payload: &[u8]) -> Vec<u8> {
    let mut server = BufReader::new(TcpStream::connect(("127.0.0.1", nats.port())).await.unwrap());
    let mut request = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n",
        payload.len()
    )
    .into_bytes();
    request.extend(payload);
    request.extend(b"\r\n");
    server.write_all(&request).await.unwrap();
    let mut line = String::new();
    while !line.starts_with("MSG ") {
        line.clear();
        assert_ne!(server.read_line(&mut line).await.unwrap(), 0, "the server hung up");
        assert!(!line.starts_with("-ERR"), "{line}");
    }
    let length = line.split_whitespace().next_back().unwrap().parse().unwrap();
    let mut answer = vec![0; length];
    server.read_exact(&mut answer).await.unwrap();
    answer
}
