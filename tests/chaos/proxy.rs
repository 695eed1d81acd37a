//! A TCP proxy that does to a connection what networks do: cut it, swallow it, one way or both, delay it, reset it,
//! or let it drip.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// What happens to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// They pass.
    Fair,
    /// Connections are closed, and new ones as soon as they are made.
    Cut,
    /// Connections stay and new ones are made; nothing passes, either way. What was swallowed is lost, so the
    /// connection is closed when the weather changes, as a peer that missed bytes could not go on.
    Blackhole,
    /// What the client says is swallowed; what the server says passes.
    Deaf,
    /// What the server says is swallowed; what the client says passes.
    Mute,
    /// Every piece arrives this much later.
    Late(Duration),
    /// Connections are reset (RST), and new ones as soon as they are made.
    Reset,
    /// This many bytes a second each way.
    Drip(u32),
}

/// The weather, and which connections no longer feel it.
#[derive(Clone, Copy, Debug)]
struct Forecast {
    weather: Weather,
    /// Connections numbered below this are a blackhole for ever: their peer died without a word.
    alive_from: u64,
}

impl Forecast {
    fn of(self, connection: u64) -> Weather {
        if connection < self.alive_from { Weather::Blackhole } else { self.weather }
    }
}

/// Which way a piece goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Weather {
    fn swallows(self, way: Way) -> bool {
        match self {
            Self::Blackhole => true,
            Self::Deaf => way == Way::Up,
            Self::Mute => way == Way::Down,
            _ => false,
        }
    }

    fn ends_connections(self) -> bool {
        matches!(self, Self::Cut | Self::Reset)
    }
}

/// A proxy before one server.
pub(crate) struct Proxy {
    port: u16,
    forecast: watch::Sender<Forecast>,
    made: Arc<AtomicU64>,
    felt: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of its own before the server at `to`.
    pub(crate) async fn start(to: u16) -> Self {
        Self::start_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), to)
    }

    /// The same, on a port that must be known before the server behind it runs.
    pub(crate) fn start_on(listener: TcpListener, to: u16) -> Self {
        let port = listener.local_addr().unwrap().port();
        let forecast = watch::Sender::new(Forecast { weather: Weather::Fair, alive_from: 0 });
        let (seen, made, felt) =
            (forecast.subscribe(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (count, feeling) = (made.clone(), felt.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::AcqRel);
                let sky = Sky { number, forecast: seen.clone(), felt: feeling.clone() };
                tokio::spawn(carry(client, (Ipv4Addr::LOCALHOST, to).into(), sky));
            }
        });
        Self { port, forecast, made, felt, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How often something was ended, swallowed or held up by the weather so far: connections, or pieces of them.
    pub(crate) fn felt(&self) -> u64 {
        self.felt.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.forecast.send_modify(|forecast| forecast.weather = weather);
    }

    /// Lets the peer of every connection die without a word; new connections are not touched.
    pub(crate) fn orphan(&self) {
        let made = self.made.load(Ordering::Acquire);
        self.forecast.send_modify(|forecast| forecast.alive_from = made);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The weather as one connection feels it.
#[derive(Clone)]
struct Sky {
    number: u64,
    forecast: watch::Receiver<Forecast>,
    felt: Arc<AtomicU64>,
}

impl Sky {
    fn feel(&self) {
        self.felt.fetch_add(1, Ordering::AcqRel);
    }

    fn now(&mut self) -> Weather {
        self.forecast.borrow_and_update().of(self.number)
    }
}

/// Carries one connection until it ends or the weather ends it.
async fn carry(client: TcpStream, to: SocketAddr, mut sky: Sky) {
    let now = sky.now();
    if now == Weather::Reset {
        let _ = client.set_zero_linger();
    }
    if now.ends_connections() {
        sky.feel();
        return;
    }
    let Ok(server) = TcpStream::connect(to).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = (sky.clone(), sky);
    let mut ways = [
        tokio::spawn(pass(from_client, to_server, Way::Up, up)),
        tokio::spawn(pass(from_server, to_client, Way::Down, down)),
    ];
    let [one, other] = &mut ways;
    // Whichever way ends first, the connection has.
    tokio::select! {
        _ = one => {}
        _ = other => {}
    }
    for way in ways {
        way.abort();
    }
}

/// Passes what comes one way, as the weather lets it.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, mut sky: Sky) {
    let mut piece = vec![0; 16 * 1024];
    let mut swallowed = false;
    loop {
        let now = sky.now();
        if now == Weather::Reset {
            let _ = (to.as_ref().set_zero_linger(), from.as_ref().set_zero_linger());
        }
        if now.ends_connections() {
            sky.feel();
            return;
        }
        if swallowed && !now.swallows(way) {
            return;
        }
        let read = tokio::select! {
            read = from.read(&mut piece) => read,
            changed = sky.forecast.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let Ok(count @ 1..) = read else { return };
        if now.swallows(way) {
            sky.feel();
            swallowed = true;
            continue;
        }
        let pause = pause(now, count);
        if !pause.is_zero() {
            sky.feel();
            sleep_until(Instant::now() + pause).await;
        }
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}

/// How long a piece of this many bytes takes.
fn pause(weather: Weather, bytes: usize) -> Duration {
    match weather {
        Weather::Late(pause) => pause,
        Weather::Drip(a_second) => {
            Duration::from_secs_f64(bytes as f64 / f64::from(a_second)).min(Duration::from_secs(5))
        }
        _ => Duration::ZERO,
    }
}
