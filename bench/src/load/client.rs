//! One connection, and of HTTP only what the answers measured here need.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use httparse::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Headers of an answer: three times those of any that is measured.
const MOST_HEADERS: usize = 16;

/// A connection that stays open, with one request under way at a time.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 << 10) })
    }

    /// Sends a request and waits for the whole answer, whose status comes back.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if let Some(answer) = Answer::read(&self.buffer)?
                && self.buffer.len() >= answer.length
            {
                return Ok(answer.status);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// What an answer's head says.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Bytes of head and body.
    length: usize,
}

impl Answer {
    /// `None` while the head is not whole.
    fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        let malformed = || io::Error::new(ErrorKind::InvalidData, "an answer that is not understood");
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let Status::Complete(head) = response.parse(bytes).map_err(|_| malformed())? else { return Ok(None) };
        let status = response.code.ok_or_else(malformed)?;
        let length =
            response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|length| std::str::from_utf8(length.value).ok()?.parse::<usize>().ok());
        let body = match (status, length) {
            (204, _) => 0,
            (_, length) => length.ok_or_else(malformed)?,
        };
        Ok(Some(Self { status, length: head + body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(Answer::read(&head[..head.len() - 1]).unwrap(), None);
        assert_eq!(Answer::read(head).unwrap(), Some(Answer { status: 200, length: head.len() + 3 }));
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(Answer::read(empty).unwrap(), Some(Answer { status: 204, length: empty.len() }));
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(Answer::read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Answer::read(b"nonsense\r\n\r\n").is_err());
    }
}
