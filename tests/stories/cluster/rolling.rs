//! Every role ended and started again in turn, as an upgrade does it, while webhooks come and integrations read without
//! a pause.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use casewire_domain::directory::Algorithm;
use casewire_twilio::signature::{HEADER, sign};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::kit::{Balancer, Cluster, Role, message_sid, person, say};

const CLIENTS: u64 = 8;
const READERS: u64 = 2;
const ROUNDS: usize = 3;
/// As long as Twilio waits for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two requests of a client: together about 200 texts a second.
const PAUSE: Duration = Duration::from_millis(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_under_load_fails_no_request_though_nobody_repeats_one() {
    // Several of the balancer's looks.
    let plan = Cluster::plan().ingests(2).workers(2).desks(2).set("SERVER__UNREADY_TIME", "1s");
    let cluster = Arc::new(plan.start().await);
    let token = cluster.command(&["token", "create", "--name", "reader"]).await;
    let desks = Balancer::start(cluster.desks.iter().collect()).await;
    let done = Arc::new(AtomicBool::new(false));
    let clients = (0..CLIENTS).map(|n| tokio::spawn(text(cluster.clone(), n, done.clone()))).collect();
    let readers = (0..READERS)
        .map(|_| tokio::spawn(read(desks.url(), token.trim().to_owned(), done.clone())))
        .collect();
    for _ in 0..ROUNDS {
        for turn in 0..2 {
            let roles = [&cluster.ingests[turn], &cluster.workers[turn], &cluster.desks[turn]];
            futures_util::future::join_all(roles.map(renew)).await;
        }
    }
    done.store(true, Ordering::Release);
    let (texting, reading) = (all(clients).await, all(readers).await);
    cluster.settle(Duration::from_secs(60)).await;
    let figures = cluster.check(0).await;
    say(&format!(
        "{} of {} texts failed on {} connections, {} of {} readings on {}: {figures}",
        texting.failed.len(),
        texting.requests,
        texting.connections,
        reading.failed.len(),
        reading.requests,
        reading.connections
    ));
    for clients in [&texting, &reading] {
        assert!(clients.failed.is_empty(), "{:?}", clients.failed);
        assert!(clients.requests > 5 * clients.connections, "connections are used again and again");
    }
    assert_eq!((figures.taken, figures.requests as usize), (figures.texts, figures.texts));
    assert_eq!(figures.texts, texting.requests);
}

/// What all of these did together.
async fn all(clients: Vec<JoinHandle<Client>>) -> Client {
    let mut sum = Client::default();
    for client in clients {
        let client = client.await.unwrap();
        sum.requests += client.requests;
        sum.connections += client.connections;
        sum.failed.extend(client.failed);
    }
    sum
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
        let body = form.encode();
        let request = format!(
            "POST /inbound/main HTTP/1.1\r\nhost: x\r\n{HEADER}: {signature}\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{body}",
            body.len()
        );
        let answer = calling.ask(&cluster.public_url(), &request).await;
        cluster.books.write(&sid, &from, answer);
        tokio::time::sleep(PAUSE).await;
    }
    calling
}

/// What an integration does until the end: looks at the newest case, through the API.
async fn read(origin: String, token: String, done: Arc<AtomicBool>) -> Client {
    let mut calling = Client::default();
    let request =
        format!("GET /api/v1/cases?limit=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    while !done.load(Ordering::Acquire) {
        calling.ask(&origin, &request).await;
        tokio::time::sleep(PAUSE).await;
    }
    calling
}

/// A client that keeps its connection as long as it may, and repeats nothing: an HTTP library would, unasked.
#[derive(Default)]
struct Client {
    connection: Option<BufReader<TcpStream>>,
    connections: usize,
    requests: usize,
    failed: Vec<String>,
}

impl Client {
    /// The status of the answer, where there was one; any but 200 is a failure.
    async fn ask(&mut self, origin: &str, request: &str) -> Option<u16> {
        self.requests += 1;
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(origin, request)).await;
        match exchange.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(200) => Some(200),
            Ok(status) => {
                self.failed.push(status.to_string());
                Some(status)
            }
            Err(error) => {
                self.failed.push(error.to_string());
                None
            }
        }
    }

    async fn exchange(&mut self, origin: &str, request: &str) -> io::Result<u16> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.connections += 1;
                BufReader::new(TcpStream::connect(origin.trim_start_matches("http://")).await?)
            }
        };
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
