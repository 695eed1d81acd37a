//! Answering for a text that was accepted: as it should be, or as a fault wants it.

use std::io;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::web::Bytes;
use futures_util::{StreamExt, stream};
use tokio::time::{sleep, timeout};

use crate::ledger::Answered;
use crate::refusal::Refusal;
use crate::sending::Taken;
use crate::simulator::Simulator;

/// How long half an answer stands before the connection closes, so that it has left by then.
const HALF_AN_ANSWER: Duration = Duration::from_millis(50);

pub(super) async fn give(simulator: &Simulator, taken: Taken) -> HttpResponse {
    if let Some(first_callback) = taken.first_callback {
        // An error only says that no callback will come.
        let _ = timeout(simulator.config().callback_before_answer_wait, first_callback).await;
    }
    let body = Bytes::from(taken.resource.to_string());
    let half = body.slice(..body.len() / 2);
    match taken.answer {
        Answered::Created => created().body(body),
        Answered::Garbled => created().body(half),
        Answered::Truncated => created().body(broken_off(body.len(), half)),
        Answered::Error => HttpResponse::from_error(Refusal::of(20_500)),
        Answered::Reset => closed(),
        Answered::Hung => {
            simulator.closing().run_until_cancelled(sleep(simulator.config().hang)).await;
            closed()
        }
    }
}

fn created() -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Created();
    answer.content_type("application/json;charset=utf-8");
    answer
}

/// Promises `length` bytes, sends `half` and closes.
fn broken_off(length: usize, half: Bytes) -> SizedStream<impl stream::Stream<Item = io::Result<Bytes>>> {
    let end = stream::once(async {
        sleep(HALF_AN_ANSWER).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    // Boxed to be `Unpin`, which the server does not need but the compiler asks of the chain.
    SizedStream::new(length as u64, stream::iter([Ok(half)]).chain(end.boxed_local()))
}

/// Closes the connection with nothing sent: a body that fails at once takes the head, which has not left the
/// buffer, with it.
fn closed() -> HttpResponse {
    let nothing = stream::iter([Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset))]);
    created().body(SizedStream::new(1, nothing))
}
