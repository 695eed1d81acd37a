//! The most that a webhook's way can give: takes a request, publishes its body under an id to one of the streams,
//! waits for the acknowledgement, answers. No signature, no parsing, no line, no span, no metric; otherwise the same
//! libraries and allocator with the same settings as `casewire ingest`.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;
use async_nats::ConnectOptions;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::PublishMessage;
use casewire_twilio::twiml;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The limit that ingest is measured against.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: String,
    /// The NATS server.
    #[arg(long)]
    nats_url: String,
    /// Streams to take in turns.
    #[arg(long, default_value_t = 4)]
    shards: u64,
    /// Threads that serve HTTP.
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

struct Limit {
    context: Context,
    subjects: Vec<String>,
    next: AtomicU64,
    /// Makes ids of this run differ from those of another.
    run: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let client = ConnectOptions::new()
        .connection_timeout(Duration::from_secs(2))
        .ping_interval(Duration::from_secs(5))
        .request_timeout(Some(Duration::from_secs(2)))
        .connect(&arguments.nats_url)
        .await?;
    let context = ContextBuilder::new()
        .timeout(Duration::from_secs(2))
        .max_ack_inflight(1024)
        .backpressure_on_inflight(false)
        .build(client);
    let subjects = (0..arguments.shards.max(1)).map(|shard| format!("raw.{shard}.message")).collect();
    let run = chrono::Utc::now().timestamp_micros().cast_unsigned();
    let limit = Data::from(Arc::new(Limit { context, subjects, next: AtomicU64::new(0), run }));
    let app = move || App::new().app_data(limit.clone()).default_service(web::post().to(take));
    let server = HttpServer::new(app)
        .workers(arguments.workers)
        .client_request_timeout(Duration::from_secs(3))
        .keep_alive(Duration::from_secs(15))
        .bind(&arguments.listen)?
        .run();
    writeln!(io::stdout(), "ready")?;
    Ok(server.await?)
}

async fn take(body: Bytes, limit: Data<Limit>) -> HttpResponse {
    let index = limit.next.fetch_add(1, Ordering::Relaxed);
    let subject = &limit.subjects[(index % limit.subjects.len() as u64) as usize];
    let message = PublishMessage::build().payload(body).message_id(format!("{:x}.{index:x}", limit.run));
    let stored = match limit.context.send_publish(subject.clone(), message).await {
        Ok(acknowledgement) => {
            acknowledgement.await.is_ok_and(|stored| stored.sequence > 0 && !stored.duplicate)
        }
        Err(_) => false,
    };
    if !stored {
        return HttpResponse::ServiceUnavailable().finish();
    }
    HttpResponse::Ok().insert_header((CONTENT_TYPE, twiml::CONTENT_TYPE)).body(twiml::EMPTY)
}
