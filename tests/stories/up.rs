//! Everything in one process, as a newcomer runs it.

use std::time::Duration;

use tempfile::TempDir;

use crate::kit::casewire;

#[tokio::test]
async fn a_text_from_the_command_line_becomes_a_case() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let up = casewire(&["up", "--data-dir", data, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]);
    let up = up.spawn().unwrap();
    up.wait_for_line("is up", Duration::from_secs(20)).await.unwrap();
    let text = casewire(&["--data-dir", data, "simulator", "text", "my heater is broken"]);
    text.run_well(Duration::from_secs(20)).await.unwrap();
    casewire_testkit::eventually("the case is listed", Duration::from_secs(10), async || {
        let listed = casewire(&["--data-dir", data, "case", "list"]).run_well(Duration::from_secs(20)).await;
        listed.unwrap().contains("00001001")
    })
    .await
    .unwrap();
}
