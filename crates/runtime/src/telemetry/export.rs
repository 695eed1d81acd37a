//! Spans as OpenTelemetry's, and their way to a collector.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use super::names::Names;
use super::{Error, Identity};
use crate::config::{HttpUrl, Telemetry};
use crate::crypto;

/// How long the last traces may take: with the drain of 30 s it stays within the 60 s an orchestrator grants.
pub const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// What the exporter itself is made of: its spans would feed it for ever.
const OWN_NOISE: [&str; 6] = ["hyper", "hyper_util", "reqwest", "h2", "rustls", "opentelemetry"];

/// What becomes of spans.
pub(super) type Spans<S> = Box<dyn Layer<S> + Send + Sync>;

/// Ends telemetry: flushes what was not sent yet, for at most [`FLUSH_LIMIT`].
#[derive(Debug)]
pub struct Guard(Option<SdkTracerProvider>);

impl Guard {
    /// Sends what is left, as dropping does, without blocking the runtime's thread meanwhile.
    pub async fn flush(self) {
        // It fails only if sending panicked, and then nothing is left to do.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A collector that is away must not keep the process alive, and there is nobody left to tell.
        let _ = self.0.as_ref().map(|provider| provider.shutdown_with_timeout(FLUSH_LIMIT));
    }
}

/// The layer that makes a span of OpenTelemetry of every span and sends it, or only names it where nothing is sent.
pub(super) fn layer<S>(settings: &Telemetry, identity: Identity) -> Result<(Spans<S>, Guard), Error>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok((Names.boxed(), Guard(None))) };
    let provider = provider(settings, endpoint, identity)?;
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("casewire"))
        // Each would add fields of no use to every span.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        // Parents are found through `tracing`; activating the other context too costs at every poll.
        .with_context_activation(false);
    Ok((layer.boxed(), Guard(Some(provider))))
}

/// Which spans there are: not those of the exporter itself.
pub(super) fn spans() -> Targets {
    let targets = OWN_NOISE.iter().map(|target| (*target, LevelFilter::OFF));
    Targets::new().with_default(LevelFilter::INFO).with_targets(targets)
}

fn provider(
    settings: &Telemetry,
    endpoint: &HttpUrl,
    identity: Identity,
) -> Result<SdkTracerProvider, Error> {
    let resource = Resource::builder()
        .with_service_name(format!("casewire-{}", identity.role))
        .with_attribute(KeyValue::new("service.version", identity.version))
        .build();
    crypto::install_provider();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.as_str()))
        .build()?;
    let share = Sampler::TraceIdRatioBased(settings.sample_ratio.get());
    let builder = SdkTracerProvider::builder().with_resource(resource);
    Ok(builder.with_sampler(Sampler::ParentBased(Box::new(share))).with_batch_exporter(exporter).build())
}
