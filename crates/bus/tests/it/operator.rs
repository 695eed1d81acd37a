//! A server whose users show what an operator has signed, as NATS' own cloud and larger installations have it.

use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use casewire_bus::jetstream::Credentials;
use casewire_bus::{JetStream, JetStreamConfig, Stream};
use casewire_testkit::NatsServer;
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::rig::{PATIENCE, Settings, event};

/// What `issuer` says of `subject`, signed: a JWT as `nsc` makes them.
fn signed(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> Result<String> {
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let (issuer_key, subject) = (issuer.public_key(), subject.public_key());
    let claims =
        json!({ "jti": "test", "iat": 1, "name": "test", "iss": issuer_key, "sub": subject, "nats": nats });
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(text.as_bytes())?);
    Ok(format!("{text}.{signature}"))
}

/// A file as `nsc generate creds` writes it.
fn credentials(account: &KeyPair) -> Result<String> {
    let user = KeyPair::new_user();
    let may =
        json!({ "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
    let (jwt, seed) = (signed(account, &user, &may)?, user.seed()?);
    Ok(format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    ))
}

/// What an account may: anything, but this much of JetStream (-1: without a limit).
fn may(streams: i64) -> Value {
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": streams, "disk_storage": streams, "streams": streams, "consumer": streams,
    });
    json!({ "limits": limits, "default_permissions": { "pub": {}, "sub": {} }, "type": "account", "version": 2 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_file_opens_a_server_of_its_operator_and_a_strangers_does_not() -> Result<()> {
    let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
    let trusted = signed(&operator, &operator, &json!({ "type": "operator", "version": 2 }))?;
    // The server itself works in an account of its own, which may have no streams.
    let system = KeyPair::new_account();
    let known = format!(
        "{}: {}, {}: {}",
        account.public_key(),
        signed(&operator, &account, &may(-1))?,
        system.public_key(),
        signed(&operator, &system, &may(0))?
    );
    let system = system.public_key();
    let server = NatsServer::start_with(&format!(
        "operator: {trusted}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{ {known} }}"
    ))
    .await?;

    let folder = tempfile::tempdir()?;
    let with = |name: &str, account: &KeyPair| -> Result<JetStreamConfig> {
        let file = folder.path().join(name);
        std::fs::write(&file, credentials(account)?)?;
        Ok(JetStreamConfig {
            credentials: Credentials::File(file),
            ..Settings::default().jetstream(server.url())
        })
    };
    let ours = JetStream::connect(with("ours.creds", &account)?).await?;
    ensure!(ours.wait_connected(PATIENCE).await);
    ours.prepare().await?;
    Stream::publish(&ours, &event("i:AC1:SM1"), 0).await?;
    let stranger = JetStream::connect(with("stranger.creds", &KeyPair::new_account())?).await?;
    ensure!(!stranger.wait_connected(Duration::from_millis(500)).await);
    Ok(())
}
