//! Lines and tokens come, change and go while ingest runs.

use anyhow::Result;
use casewire_bus::DirectoryBoard;
use casewire_domain::directory::{Directory, Method};
use casewire_domain::seal::MasterKey;
use casewire_runtime::config;
use reqwest::StatusCode;

use crate::front::{
    ACCOUNT, Embedded, Front, SID, TOKEN, account, directory, line, master_key, signed, text,
};

/// Whether the named condition of readiness holds.
fn ready(front: &Front, name: &str) -> bool {
    front.health.readiness().iter().any(|check| check.name == name && check.ok)
}

#[tokio::test]
async fn before_the_first_directory_everything_is_put_off_and_never_refused() -> Result<()> {
    let stream = Embedded::open().await?;
    let front = Front::bare(stream.stream.clone(), config::Ingest::default(), master_key())?;
    assert!(!ready(&front, "directory"));
    for target in ["/inbound/main", "/inbound/nobody", "/inbound/main/status"] {
        let answer = front.post_signed(target, &text(SID, "hi"), "wrong").await?;
        assert_eq!(
            (answer.status(), &answer.headers()["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"2".parse()?)
        );
    }
    front.board.publish(&directory()).await?;
    assert!(ready(&front, "directory") && ready(&front, "stream"));
    assert_eq!(front.post("/inbound/main", &text(SID, "hi")).await?.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_line_works_at_once_when_added_and_is_unknown_at_once_when_taken_away() -> Result<()> {
    let (front, _stream) = Front::start().await?;
    let status = async || anyhow::Ok(front.post("/inbound/new", &text(SID, "hi")).await?.status());
    assert_eq!(status().await?, StatusCode::FORBIDDEN);
    let mut directory = directory();
    directory.version = 2;
    directory.lines.push(line("new", &directory.accounts[0], Method::Post));
    front.board.publish(&directory).await?;
    assert_eq!(status().await?, StatusCode::OK);
    directory.version = 3;
    directory.lines.pop();
    front.board.publish(&directory).await?;
    assert_eq!(status().await?, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn a_token_that_was_replaced_signs_no_more() -> Result<()> {
    let (front, _stream) = Front::start().await?;
    let owner = account(1, ACCOUNT, &["the new one"]);
    let lines = vec![line("main", &owner, Method::Post)];
    front.board.publish(&Directory { version: 2, accounts: vec![owner], lines }).await?;
    let form = text(SID, "hi");
    assert_eq!(front.post("/inbound/main", &form).await?.status(), StatusCode::FORBIDDEN);
    let signature = signed("/inbound/main", &form, "the new one");
    assert_eq!(front.post_signed("/inbound/main", &form, &signature).await?.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn one_accounts_token_signs_nothing_for_another_account() -> Result<()> {
    let (front, _stream) = Front::start().await?;
    let (first, second) = (account(1, ACCOUNT, &[TOKEN]), account(2, "AC2", &["the second's"]));
    let lines = vec![line("main", &first, Method::Post), line("second", &second, Method::Post)];
    front.board.publish(&Directory { version: 2, accounts: vec![first, second], lines }).await?;
    assert_eq!(front.post("/inbound/main", &text(SID, "hi")).await?.status(), StatusCode::OK);
    assert_eq!(front.post("/inbound/second", &text(SID, "hi")).await?.status(), StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn with_another_master_key_nothing_is_refused_and_ingest_is_not_ready() -> Result<()> {
    let stream = Embedded::open().await?;
    let front = Front::bare(stream.stream.clone(), config::Ingest::default(), MasterKey::new(&[8; 32]))?;
    front.board.publish(&directory()).await?;
    let answer = front.post("/inbound/main", &text(SID, "hi")).await?;
    assert_eq!(
        (answer.status(), answer.headers().contains_key("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, true)
    );
    assert!(!ready(&front, "directory"));
    Ok(())
}

#[tokio::test]
async fn one_damaged_token_puts_off_only_what_it_may_have_signed() -> Result<()> {
    let (front, _stream) = Front::start().await?;
    let mut damaged = account(1, ACCOUNT, &[TOKEN]);
    // Sealed for another account: it opens nowhere else.
    damaged.tokens.insert(0, account(2, "AC2", &["the new one"]).tokens.remove(0));
    let sound = account(3, "AC3", &[TOKEN]);
    let lines = vec![line("main", &damaged, Method::Post), line("sound", &sound, Method::Post)];
    front.board.publish(&Directory { version: 2, accounts: vec![damaged, sound], lines }).await?;
    let form = text(SID, "hi");
    assert_eq!(front.post("/inbound/main", &form).await?.status(), StatusCode::OK);
    let newer = signed("/inbound/main", &form, "the new one");
    assert_eq!(
        front.post_signed("/inbound/main", &form, &newer).await?.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(front.post("/inbound/sound", &form).await?.status(), StatusCode::OK);
    assert!(ready(&front, "directory"), "one account's damage is no reason to turn all others away");
    Ok(())
}
