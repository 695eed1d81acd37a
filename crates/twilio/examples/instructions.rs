//! Does one thing so many times, for `scripts/instructions.sh` to count what it takes: `instructions form 1000`.

use std::error::Error;

#[path = "../benches/sample/mod.rs"]
mod sample;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let times: u32 = arguments.next().unwrap_or_default().parse()?;
    let sample = sample::Sample::new()?;
    let once: &dyn Fn() -> bool = match what.as_str() {
        "form" => &|| sample.parse(),
        "signature" => &|| sample.verify(),
        _ => return Err("form or signature?".into()),
    };
    if (0..times).all(|_| once()) { Ok(()) } else { Err("it was refused".into()) }
}
