//! Times of what every webhook costs: `cargo bench -p casewire-twilio`.

use criterion::{Criterion, criterion_group, criterion_main};

mod sample;

fn webhook(criterion: &mut Criterion) {
    let sample = sample::Sample::new();
    assert!(sample.is_ok(), "no sample can be made");
    let Ok(sample) = sample else { return };
    assert!(sample.parse() && sample.verify());
    criterion.bench_function("form", |bencher| bencher.iter(|| sample.parse()));
    criterion.bench_function("signature", |bencher| bencher.iter(|| sample.verify()));
}

criterion_group!(benches, webhook);
criterion_main!(benches);
