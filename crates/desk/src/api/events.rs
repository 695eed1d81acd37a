//! What happens to cases, live, as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use casewire_store::view::TrailView;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::body::EventBody;
use super::fields::Fields;
use crate::auth::Caller;
use crate::live::{Follower, Live};
use crate::problem::{Problem, ProblemBody};

/// The parameters, as the description tells them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by name, so that every mistake is found and not only the first")]
pub(crate) struct FollowParameters {
    /// Begin after this event; without it, with what happens from now on.
    after: Option<i64>,
}

/// Follows what happens to cases, as server-sent events of type `case`, each with its `id`. A client that
/// reconnects with `Last-Event-ID` misses nothing; an event may come twice, and its `id` tells.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(FollowParameters), responses(
    (status = 200, description = "Events without end; a comment every 15 seconds keeps the connection alive",
        body = EventBody, content_type = "text/event-stream"),
    (status = 401, description = "No valid token", body = ProblemBody),
    (status = 503, description = "Too many live pages at once", body = ProblemBody),
))]
pub(crate) async fn follow(
    request: HttpRequest,
    _: Caller,
    live: Data<Live>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::of_query(request.query_string());
    let asked = fields.optional("after", |text| text.parse().ok(), "must be the id of an event");
    fields.finish()?;
    let follower = live.follow(last_event_id(&request).or(asked)).await?;
    let reader = Reader { live, follower, until: Instant::now(), begun: false };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would otherwise hold events back until its buffer is full.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(unfold(reader, Reader::step)))
}

fn last_event_id(request: &HttpRequest) -> Option<i64> {
    request.headers().get("Last-Event-ID")?.to_str().ok()?.parse().ok()
}

/// One client's way along the trail.
struct Reader {
    live: Data<Live>,
    follower: Follower,
    /// When the connection ends, so that its token is looked at again.
    until: Instant,
    begun: bool,
}

type Chunk = Result<Bytes, actix_web::Error>;

impl Reader {
    /// The next piece of the answer; `None` ends it, and the client comes again.
    async fn step(mut self) -> Option<(Chunk, Self)> {
        if !self.begun {
            self.begun = true;
            self.until = Instant::now() + self.live.bounds().connection_life;
            return Some((Ok(greeting(self.live.bounds().reconnect_after)), self));
        }
        match self.follower.behind(&self.live).await {
            // An empty piece would end the answer.
            Ok(Some(entries)) if !entries.is_empty() => return Some((Ok(written(entries)), self)),
            Ok(_) => {}
            Err(_) => return None,
        }
        let piece = tokio::select! {
            () = self.live.ended() => return None,
            () = tokio::time::sleep_until(self.until) => return None,
            () = tokio::time::sleep(self.live.bounds().heartbeat) => Bytes::from_static(b": still here\n\n"),
            news = self.follower.news() => match news {
                Ok(entry) => write(&entry),
                // Too slow, or the desk ends: the client comes again and catches up from the database.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
            },
        };
        Some((Ok(piece), self))
    }
}

fn greeting(retry: Duration) -> Bytes {
    Bytes::from(format!("retry: {}\n: casewire\n\n", retry.as_millis()))
}

fn written(entries: Vec<Arc<TrailView>>) -> Bytes {
    entries.iter().flat_map(write).collect()
}

fn write(entry: &Arc<TrailView>) -> Bytes {
    let event = EventBody::from(TrailView::clone(entry));
    // JSON holds no line break outside its strings, and none inside them that is not escaped.
    let data = serde_json::to_string(&event).unwrap_or_default();
    Bytes::from(format!("id: {}\nevent: case\ndata: {data}\n\n", event.id))
}
