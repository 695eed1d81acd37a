//! A handset, live: every text on it as a server-sent event, resumable where a connection broke.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING};
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use casewire_domain::Address;
use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::control::problem::Problem;
use crate::control::{After, address};
use crate::handset::HandsetText;
use crate::simulator::Simulator;

/// Texts written at once, so that a long history does not lie in memory as one piece.
const AT_ONCE: usize = 100;

pub(super) async fn stream(
    request: HttpRequest,
    simulator: Data<Simulator>,
    number: Path<String>,
    query: Query<After>,
) -> Result<HttpResponse, Problem> {
    let resumed = request.headers().get("Last-Event-ID").and_then(|id| id.to_str().ok()?.parse().ok());
    let reader = Reader {
        number: address(&number)?,
        after: resumed.unwrap_or(query.after),
        changes: simulator.changes(),
        heartbeat: simulator.config().heartbeat,
        simulator: simulator.get_ref().clone(),
        opened: false,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // Compressing would hold events back.
        .insert_header((CONTENT_ENCODING, "identity"))
        .streaming(events(reader)))
}

struct Reader {
    simulator: Simulator,
    number: Address,
    after: u64,
    changes: watch::Receiver<u64>,
    heartbeat: Duration,
    opened: bool,
}

fn events(reader: Reader) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(reader, |mut reader| async move {
        let closing = reader.simulator.closing().clone();
        let chunk = closing.run_until_cancelled(reader.next()).await?;
        Some((Ok(chunk), reader))
    })
}

impl Reader {
    async fn next(&mut self) -> Bytes {
        if !self.opened {
            self.opened = true;
            // Sends the head off at once, and tells the browser how soon to come back.
            return Bytes::from_static(b"retry: 1000\n\n");
        }
        // Texts on other handsets wake it too and must not put the heartbeat off.
        let heartbeat = Instant::now() + self.heartbeat;
        loop {
            self.changes.mark_unchanged();
            let texts = self.simulator.handset(&self.number, self.after, AT_ONCE);
            if let Some(last) = texts.last() {
                self.after = last.seq;
                return texts.iter().map(event).collect::<String>().into();
            }
            match timeout_at(heartbeat, self.changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Bytes::from_static(b": heartbeat\n\n"),
            }
        }
    }
}

fn event(text: &HandsetText) -> String {
    // A text that cannot be written as JSON does not exist: every field of it can.
    let data = serde_json::to_string(text).unwrap_or_default();
    format!("event: message\nid: {}\ndata: {data}\n\n", text.seq)
}
