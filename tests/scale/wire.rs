//! A bad line between two namespaces: it delays and loses packets, or is cut. What the two send each other travels as
//! VXLAN in UDP packets through this process, so that their kernels deal with it as with any bad line. (`tc netem` does
//! the same where the kernel has it, which not every machine's does.)

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::network::{Batch, link, namespaces};

/// The namespace that the program runs in, the one of the host, and the host's address in it.
pub(crate) const NEAR: &str = "near";
pub(crate) const FAR: &str = "far";
pub(crate) const ADDRESS: &str = "10.98.0.2";

/// Where VXLAN packets arrive, here and there.
const PORT: u16 = 4789;
const ENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 97, 1, 2), Ipv4Addr::new(10, 97, 2, 2)];

/// The line.
pub(crate) struct Wire(Arc<State>);

#[derive(Default)]
struct State {
    /// Milliseconds each way.
    delay: AtomicU64,
    /// Of a thousand packets each way.
    loss: AtomicU32,
    cut: AtomicBool,
    carried: AtomicUsize,
    lost: AtomicUsize,
    /// How often the near end sent data after the far end had sent some.
    turns: AtomicUsize,
    /// The far end's data came last.
    answered: AtomicBool,
}

impl Wire {
    /// Lays it.
    pub(crate) fn new() -> Self {
        namespaces([NEAR, FAR].into_iter());
        for (namespace, net, own) in [(NEAR, 1, 1), (FAR, 2, 2)] {
            let ends = [format!("10.97.{net}.1/24"), format!("10.97.{net}.2/24")];
            link((None, &format!("to-{namespace}"), Some(&ends[0])), (namespace, "under", &ends[1]));
            let mut batch = Batch::default();
            batch
                .add(&format!("link add line type vxlan id 1 local 10.97.{net}.2 remote 10.97.{net}.1 dstport {PORT}"));
            batch.add(&format!("addr add 10.98.0.{own}/24 dev line")).add("link set line mtu 1400 gso_max_segs 1 up");
            batch.run(Some(namespace));
        }
        let state = Arc::new(State::default());
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
        let mut ways = Vec::new();
        for to in ENDS {
            let (sender, waiting) = mpsc::channel::<(Instant, Vec<u8>)>();
            let (socket, state) = (socket.try_clone().unwrap(), Arc::clone(&state));
            std::thread::spawn(move || {
                for (due, packet) in waiting {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    if !state.cut.load(Ordering::SeqCst) {
                        let _ = socket.send_to(&packet, SocketAddrV4::new(to, PORT));
                    }
                }
            });
            ways.push(sender);
        }
        let shared = Arc::clone(&state);
        std::thread::spawn(move || carry(&socket, &shared, &ways));
        Self(state)
    }

    /// Each packet takes so long, each way, and so many of a thousand do not arrive.
    pub(crate) fn set(&self, delay: Duration, loss: u32) {
        self.0.delay.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::SeqCst);
        self.0.loss.store(loss, Ordering::SeqCst);
    }

    /// Nothing arrives any more, also not what is under way.
    pub(crate) fn cut(&self) {
        self.0.cut.store(true, Ordering::SeqCst);
    }

    /// How many packets it carried and lost.
    pub(crate) fn packets(&self) -> (usize, usize) {
        (self.0.carried.load(Ordering::SeqCst), self.0.lost.load(Ordering::SeqCst))
    }

    /// How many round trips the near end's data took meanwhile: it sent some, and then some after the far end's.
    pub(crate) fn turns<T>(&self, work: impl FnOnce() -> T) -> (usize, T) {
        self.0.turns.store(0, Ordering::SeqCst);
        self.0.answered.store(true, Ordering::SeqCst);
        let done = work();
        (self.0.turns.load(Ordering::SeqCst), done)
    }
}

fn carry(socket: &UdpSocket, state: &State, ways: &[mpsc::Sender<(Instant, Vec<u8>)>]) {
    let mut buffer = [0; 65_536];
    // The same losses in every run that sends the same.
    let mut random: u32 = 0x2545_f491;
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let Some(side) = ENDS.iter().position(|end| from.ip() == *end) else { continue };
        let packet = &mut buffer[..length];
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        if state.cut.load(Ordering::SeqCst) || random % 1000 < state.loss.load(Ordering::SeqCst) {
            state.lost.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        state.carried.fetch_add(1, Ordering::SeqCst);
        if tcp(packet).is_some_and(|tcp| finish(packet, tcp)) {
            let answered = state.answered.swap(side == 1, Ordering::SeqCst);
            if side == 0 && answered {
                state.turns.fetch_add(1, Ordering::SeqCst);
            }
        }
        let due = Instant::now() + Duration::from_millis(state.delay.load(Ordering::SeqCst));
        let _ = ways[1 - side].send((due, packet.to_vec()));
    }
}

/// Where the IPv4 header of a TCP segment begins in a VXLAN packet, where the segment begins, and where it ends.
fn tcp(packet: &[u8]) -> Option<(usize, usize, usize)> {
    // Behind VXLAN's own header and Ethernet's.
    let ip = 8 + 14;
    if packet.get(ip - 2..ip)? != [8, 0] || *packet.get(ip + 9)? != 6 {
        return None;
    }
    let segment = ip + usize::from(packet[ip] & 15) * 4;
    let end = ip + usize::from(u16::from_be_bytes([packet[ip + 2], packet[ip + 3]]));
    (segment + 20 <= end && end <= packet.len()).then_some((ip, segment, end))
}

/// Writes the checksum of a TCP segment, which a kernel leaves to its network card; says whether the segment has data.
fn finish(packet: &mut [u8], (ip, segment, end): (usize, usize, usize)) -> bool {
    let at = segment + 16;
    packet[at..at + 2].fill(0);
    let sum = |bytes: &[u8]| -> u32 {
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from)).sum()
    };
    let length = u32::try_from(end - segment).unwrap_or(0);
    let mut total = sum(&packet[ip + 12..ip + 20]) + 6 + length + sum(&packet[segment..end]);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let checksum = !u16::try_from(total).unwrap_or(0);
    packet[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    end - segment > usize::from(packet[segment + 12] >> 4) * 4
}
