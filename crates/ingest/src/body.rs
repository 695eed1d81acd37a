//! Reading a body: whole or not at all, never more than allowed, never longer than allowed.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::Payload;
use futures_util::StreamExt;

use crate::refusal::Refusal;

/// The raw body. What is too large is not kept: it is refused by its declared length, or at the byte too many.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
    time: Duration,
) -> Result<Vec<u8>, Refusal> {
    if is_compressed(request) {
        return Err(Refusal::Compressed);
    }
    let declared = declared_length(request).unwrap_or(0);
    if declared > limit {
        return Err(Refusal::TooLarge);
    }
    let all = collect(payload, limit, declared);
    tokio::time::timeout(time, all).await.unwrap_or(Err(Refusal::Slow))
}

async fn collect(payload: &mut Payload, limit: usize, expected: usize) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::with_capacity(expected);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::Broken)?;
        if body.len() + chunk.len() > limit {
            return Err(Refusal::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn declared_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_compressed(request: &HttpRequest) -> bool {
    request
        .headers()
        .get_all(CONTENT_ENCODING)
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
