//! Network interfaces whose packets a program carries: TUN devices of Linux, in named network
//! namespaces. Needs root.

use std::ffi::c_short;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The longest packet of an interface, in bytes.
const MAX_PACKET: usize = 65_535;

/// An interface, from the side of whoever carries its packets.
#[derive(Debug)]
pub struct Tun {
    device: File,
    buffer: Vec<u8>,
}

impl Tun {
    /// Takes over an interface that `ip netns exec NETNS ip tuntap add dev NAME mode tun` made.
    /// The thread itself stays where it is.
    ///
    /// # Errors
    /// There is no such namespace or interface, somebody else has it, or this is not root.
    pub fn open(netns: &str, name: &str) -> io::Result<Self> {
        let own = File::open("/proc/thread-self/ns/net")?;
        let other = File::open(format!("/run/netns/{netns}"))?;
        let network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(other.as_fd(), network)?;
        let device = attach(name);
        move_into_link_name_space(own.as_fd(), network)?;
        Ok(Self { device: device?, buffer: vec![0; MAX_PACKET] })
    }

    /// The next packet that the system has sent through the interface, if there is one.
    ///
    /// # Errors
    /// As the system gives them: the interface is gone or down, for example.
    pub fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        match self.device.read(&mut self.buffer) {
            Ok(len) => Ok(Some(&self.buffer[..len])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the system a packet that comes in through the interface.
    ///
    /// # Errors
    /// As the system gives them.
    pub fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.device.write_all(packet)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// The device of an interface in the thread's namespace.
fn attach(name: &str) -> io::Result<File> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: all bytes zero are a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() || !name.is_ascii() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name of an interface"));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    // Bare IP packets, one for each read and write: whatever is offloaded has been cut before.
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    request.ifr_ifru.ifru_flags = c_short::try_from(flags).expect("two low bits");
    // SAFETY: this call reads and writes one `ifreq`, and the pointer is to one.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(device) }
}
