//! Every role ended and started again in turn, as an upgrade does it, while webhooks come without a pause.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use casewire_domain::directory::Algorithm;
use casewire_twilio::signature::{HEADER, sign};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::kit::{Cluster, Role, message_sid, person, say};

const CLIENTS: u64 = 8;
const ROUNDS: usize = 3;
/// Between two texts of a client: together about 200 a second.
const PAUSE: Duration = Duration::from_millis(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_under_load_fails_no_webhook_though_nobody_repeats_one() {
    // Several of the balancer's looks.
    let plan = Cluster::plan().ingests(2).workers(2).set("SERVER__UNREADY_TIME", "1s");
    let cluster = Arc::new(plan.start().await);
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..CLIENTS).map(|n| tokio::spawn(text(cluster.clone(), n, done.clone()))).collect();
    for _ in 0..ROUNDS {
        for turn in 0..2 {
            tokio::join!(renew(&cluster.ingests[turn]), renew(&cluster.workers[turn]));
        }
    }
    done.store(true, Ordering::Release);
    let (mut failed, mut connections) = (Vec::new(), 0);
    for client in clients {
        let client = client.await.unwrap();
        failed.extend(client.failed);
        connections += client.connections;
    }
    cluster.settle(Duration::from_secs(60)).await;
    let figures = cluster.check(0).await;
    say(&format!("{} failed on {connections} connections: {figures}", failed.len()));
    assert!(failed.is_empty(), "{failed:?}");
    assert!(figures.texts > 5 * connections, "connections are used again and again");
    assert_eq!((figures.taken, figures.requests as usize), (figures.texts, figures.texts));
}

async fn renew(role: &Role) {
    role.end().await;
    role.start().await;
}

/// What one client does until the end: texts, each of another person and each sent once.
async fn text(cluster: Arc<Cluster>, client: u64, done: Arc<AtomicBool>) -> Client {
    let mut calling = Client::default();
    for n in (client..).step_by(usize::try_from(CLIENTS).unwrap()) {
        if done.load(Ordering::Acquire) {
            break;
        }
        let (sid, from) = (message_sid(), person(n));
        let form = cluster.hook.form(&sid, &from, "hello");
        let url = format!("{}/inbound/main", cluster.public_url());
        let signature = sign(&url, &form, &cluster.hook.token, Algorithm::HmacSha1);
        let answer = calling.post(&cluster.public_url(), &signature, &form.encode()).await;
        cluster.books.write(&sid, &from, answer.as_ref().ok().copied());
        match answer {
            Ok(200) => {}
            Ok(status) => calling.failed.push(status.to_string()),
            Err(error) => calling.failed.push(error.to_string()),
        }
        tokio::time::sleep(PAUSE).await;
    }
    calling
}

/// A client that keeps its connection as long as it may, and repeats nothing: an HTTP library would, unasked.
#[derive(Default)]
struct Client {
    connection: Option<BufReader<TcpStream>>,
    connections: usize,
    failed: Vec<String>,
}

impl Client {
    /// The status of the answer.
    async fn post(&mut self, origin: &str, signature: &str, body: &str) -> io::Result<u16> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.connections += 1;
                BufReader::new(TcpStream::connect(origin.trim_start_matches("http://")).await?)
            }
        };
        let request = format!(
            "POST /inbound/main HTTP/1.1\r\nhost: x\r\n{HEADER}: {signature}\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).await?;
        let (status, keep) = answer(&mut connection).await?;
        self.connection = keep.then_some(connection);
        Ok(status)
    }
}

/// Reads an answer to its end; its status, and whether the connection may be used again.
async fn answer(connection: &mut BufReader<TcpStream>) -> io::Result<(u16, bool)> {
    let (mut head, mut line) = (Vec::new(), String::new());
    while line != "\r\n" {
        line.clear();
        if connection.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    let field = |name: &str| head.iter().find_map(|line| line.strip_prefix(name).map(str::trim));
    let length = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
    connection.read_exact(&mut vec![0; length]).await?;
    let status = head[0].split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, field("connection:") != Some("close")))
}
